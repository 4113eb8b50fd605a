#include "binding/stream.hpp"

#include <mutex>

#include "binding/interrupt.hpp"
#include "binding/predictor.hpp"

namespace elman::binding {

namespace {

// A turn of one thread. Others wait without the GIL, which this one may want; only a signal handler
// can ask for another turn in the same thread.
class Turns {
public:
    class Turn {
    public:
        explicit Turn(Turns& turns) : turns_(turns) {
            if (!turns.mutex_.try_lock()) {
                if (turns.owner_.load(std::memory_order_relaxed) == std::this_thread::get_id())
                    throw std::runtime_error("elman: a step of this stream is under way");
                const GilRelease release;
                turns.mutex_.lock();
            }
            turns.owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
        }
        ~Turn() {
            turns_.owner_.store({}, std::memory_order_relaxed);
            turns_.mutex_.unlock();
        }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        Turns& turns_;
    };

private:
    std::mutex mutex_;
    std::atomic<std::thread::id> owner_{};
};

class AnyStream {
public:
    AnyStream(std::shared_ptr<AnyPredictor> predictor, Index n_streams)
        : predictor_(std::move(predictor)) {
        require(n_streams >= 0, "n_streams must not be negative");
        predictor_->visit([&](const auto& of_type) { make(of_type, n_streams); });
    }

    template <class Function>
    auto visit(const Function& function) {
        const Turns::Turn turn(turns_);
        return std::visit([&](const auto& stream) { return function(*stream); }, stream_);
    }

private:
    template <class T>
    void make(const Predictor<T>& predictor, Index n_streams) {
        stream_ = std::make_unique<Stream<T>>(predictor, n_streams, predictor_->n_threads());
    }

    std::shared_ptr<AnyPredictor> predictor_;
    std::variant<std::unique_ptr<Stream<float>>, std::unique_ptr<Stream<double>>> stream_;
    Turns turns_;
};

// One step of each stream, where it is, if that can be: an array as the core wants it, of one
// stream also without its axis, of one channel without that; (first, ids, values); a number.
template <class T>
class Step {
public:
    const T* values = nullptr;
    TokenSteps<T> tokens;
    bool fits = false;
    bool has_streams_axis = true;

    Step(const Network<T>& network, Index n_streams, const py::handle& x)
        : network_(network), n_streams_(n_streams) {
        if (py::isinstance<py::array>(x))
            read(py::reinterpret_borrow<py::array>(x));
        else if (has_tokens() && is_features(x))
            read_features(py::reinterpret_borrow<py::object>(x));
        else if (n_streams == 1)
            read_number(x);
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

private:
    bool has_tokens() const { return network_.embedding().has_value(); }
    static bool is_features(const py::handle& x) {
        return py::isinstance<py::tuple>(x) && py::len(x) == 3 &&
               py::isinstance<py::array>(PyTuple_GET_ITEM(x.ptr(), 0));
    }

    void read(const py::array& x) {
        const Index n_channels = has_tokens() ? 1 : network_.options().n_channels;
        const bool has_channels_axis = !has_tokens() && (x.ndim() == 2 || n_channels > 1 ||
                                                         (n_streams_ == 1 && x.ndim() == 1));
        const py::ssize_t axes = has_channels_axis ? 1 : 0;
        has_streams_axis = x.ndim() == axes + 1;
        if (x.ndim() != axes + (has_streams_axis ? 1 : 0)) return;
        if (has_streams_axis ? x.shape(0) != n_streams_ : n_streams_ != 1) return;
        if (has_channels_axis && x.shape(x.ndim() - 1) != n_channels) return;
        if (has_tokens()) {
            if (is_c_array<std::int32_t>(x)) read(static_cast<const std::int32_t*>(x.data()));
        } else if (is_c_array<T>(x)) {
            read(static_cast<const T*>(x.data()));
        }
    }

    void read_number(const py::handle& x) {
        has_streams_axis = false;
        if (has_tokens() && PyLong_Check(x.ptr()) != 0) {
            int overflow;
            const long id = PyLong_AsLongAndOverflow(x.ptr(), &overflow);
            if (overflow != 0 || id < 0 || id > std::numeric_limits<std::int32_t>::max()) return;
            id_ = std::int32_t(id);
            read(&id_);
        } else if (!has_tokens() && network_.options().n_channels == 1 &&
                   PyFloat_Check(x.ptr()) != 0) {
            value_ = T(PyFloat_AS_DOUBLE(x.ptr()));
            read(&value_);
        }
    }

    void read_features(const py::object& x) {
        Index n_steps = 0;
        tokens = token_steps<T>(x, network_.options().n_tokens, n_steps);
        fits = n_steps == n_streams_;
    }

    void read(const std::int32_t* ids) {
        tokens.ids = ids;
        fits = std::all_of(ids, ids + n_streams_, [&](std::int32_t id) {
            return id >= 0 && id < network_.options().n_tokens;
        });
    }
    void read(const T* x) {
        values = x;
        fits = all_finite(x, n_streams_ * network_.options().n_channels, network_.may_miss());
    }

    const Network<T>& network_;
    Index n_streams_;
    T value_ = T(0);
    std::int32_t id_ = 0;
};

// py::array_t's own constructor takes a fifth of a microsecond, half of it for strides.
template <class T>
py::array_t<T> fresh_array(std::initializer_list<py::ssize_t> shape) {
    const auto& numpy = py::detail::npy_api::get();
    PyObject* const array = numpy.PyArray_NewFromDescr_(
        numpy.PyArray_Type_, py::dtype::of<T>().release().ptr(), int(shape.size()),
        reinterpret_cast<const Py_intptr_t*>(shape.begin()), nullptr, nullptr, 0, nullptr);
    if (array == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::array_t<T>>(array);
}

// None, with nothing done, where x or out has to be converted or refused.
template <class T>
py::object step(Stream<T>& stream, const py::handle& x, const py::object& out) {
    const Index n_streams = stream.n_streams(), n_outputs = stream.network().options().n_outputs;
    const Step<T> inputs(stream.network(), n_streams, x);
    if (!inputs.fits) return py::none();
    T* to = nullptr;
    py::object outputs = out;
    if (out.is_none()) {
        py::array_t<T> fresh = inputs.has_streams_axis ? fresh_array<T>({n_streams, n_outputs})
                                                       : fresh_array<T>({n_outputs});
        to = fresh.mutable_data();
        outputs = std::move(fresh);
    } else {
        if (!is_c_array<T>(out)) return py::none();
        const auto array = py::reinterpret_borrow<py::array>(out);
        const py::ssize_t ndim = array.ndim();
        if (!array.writeable() || (ndim != 2 && (ndim != 1 || n_streams != 1)) ||
            array.shape(ndim - 1) != n_outputs || (ndim == 2 && array.shape(0) != n_streams))
            return py::none();
        to = const_cast<T*>(static_cast<const T*>(array.data()));
    }
    const bool is_short =
        run_interruptibly(stream.multiply_adds(), [&](const Control::Check& check) {
            return stream.step(inputs.values, inputs.tokens, check, to);
        });
    if (is_short) warn_about_threads();
    return outputs;
}

// step(x, out=None) as a builtin: pybind11's way to a function, by a tuple of arguments
// and a search among overloads, takes a tenth of a microsecond, and a small network's step has ten.
using SharedStream = std::shared_ptr<AnyStream>;

PyObject* step_of_capsule(PyObject* capsule, PyObject* const* arguments, Py_ssize_t n_arguments) {
    if (n_arguments != 1 && n_arguments != 2) {
        PyErr_SetString(PyExc_TypeError, "expected x, or x and out");
        return nullptr;
    }
    try {
        AnyStream& any = **static_cast<SharedStream*>(PyCapsule_GetPointer(capsule, nullptr));
        const auto out =
            py::reinterpret_borrow<py::object>(n_arguments == 2 ? arguments[1] : Py_None);
        return any.visit([&](auto& stream) { return step(stream, arguments[0], out); })
            .release()
            .ptr();
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return nullptr;
}

py::object step_builtin(const SharedStream& stream) {
    static PyMethodDef definition{
        "step", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&step_of_capsule)),
        METH_FASTCALL, nullptr};
    const py::capsule capsule(new SharedStream(stream),
                              [](void* data) { delete static_cast<SharedStream*>(data); });
    PyObject* const builtin = PyCFunction_New(&definition, capsule.ptr());
    if (builtin == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(builtin);
}

template <class T>
py::array states(const Stream<T>& stream) {
    py::array_t<T> rows({stream.n_streams(), stream.network().state_size()});
    stream.get_states(rows.mutable_data());
    return rows;
}

template <class T>
void set_states(Stream<T>& stream, const py::array& states) {
    const Index n = stream.n_streams(), size = stream.network().state_size();
    stream.set_states(elements<T>(states, "states", {n, size}));
}

// Numbers of streams, all of which there are.
template <class T>
std::pair<const Index*, Index> numbers(const Stream<T>& stream, const py::array& streams) {
    const Index* const which = elements<Index>(streams, "streams", {-1});
    const Index n = streams.shape(0);
    for (Index i = 0; i < n; ++i)
        require(which[i] >= 0 && which[i] < stream.n_streams(),
                [&] { return "there is no stream " + std::to_string(which[i]); });
    return {which, n};
}

}  // namespace

void register_stream(py::module_& module) {
    using namespace py::literals;
    py::class_<AnyStream, SharedStream>(module, "Stream")
        .def(py::init<std::shared_ptr<AnyPredictor>, Index>(), "predictor"_a, py::kw_only(),
             "n_streams"_a = 1)
        .def_property_readonly(
            "n_streams",
            [](AnyStream& any) {
                return any.visit([](auto& stream) { return stream.n_streams(); });
            })
        .def_property_readonly("step", &step_builtin)
        .def_property(
            "states",
            [](AnyStream& any) { return any.visit([](auto& stream) { return states(stream); }); },
            [](AnyStream& any, const py::array& rows) {
                any.visit([&](auto& stream) { set_states(stream, rows); });
            })
        .def(
            "reset",
            [](AnyStream& any, const py::array& streams) {
                any.visit([&](auto& stream) {
                    const auto [which, n] = numbers(stream, streams);
                    stream.reset(which, n);
                });
            },
            "streams"_a)
        .def(
            "keep",
            [](AnyStream& any, const py::array& streams) {
                any.visit([&](auto& stream) {
                    const auto [which, n] = numbers(stream, streams);
                    stream.keep(which, n);
                });
            },
            "streams"_a)
        .def(
            "add",
            [](AnyStream& any, Index n) {
                require(n >= 0, "n must not be negative");
                return any.visit([&](auto& stream) {
                    const Index n_before = stream.n_streams();
                    stream.add(n);
                    return n_before;
                });
            },
            "n"_a);
}

}  // namespace elman::binding
