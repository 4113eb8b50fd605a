// A team of threads for one call, and the way to stop it.
//
// Its workers are taken when a call begins and given back before it returns. The calling thread
// works too; it alone asks, every few milliseconds of work, whether the user has interrupted.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "elman/simd.hpp"
#include "elman/workers.hpp"

namespace elman {

// Thrown inside workers to unwind them; never leaves the team.
struct Stopped {};

class Control {
public:
    using Check = std::function<void()>;  // throws to interrupt

    Control(std::atomic<bool>& stopped, const Check* check) : stopped_(stopped), check_(check) {}

    // To be called between pieces of work, with the multiply-adds of each: looks at the clock
    // after about 50 microseconds of them.
    void poll(Index work) {
        work_ += work;
        if (work_ < 1000000) return;
        work_ = 0;
        if (stopped_.load(std::memory_order_relaxed)) throw Stopped();
        if (check_ == nullptr || !*check_) return;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_check_ < std::chrono::milliseconds(5)) return;
        last_check_ = now;
        (*check_)();
    }

private:
    std::atomic<bool>& stopped_;
    const Check* check_;
    Index work_ = 0;
    std::chrono::steady_clock::time_point last_check_ = std::chrono::steady_clock::now();
};

class Team {
public:
    using Task = std::function<void(Index task, Control&)>;

    // As many workers as the system grants; is_short() tells when that is less than asked for.
    Team(Index n_threads, Control::Check check)
        : check_(std::move(check)), control_(stopped_, &check_), n_wanted_(n_threads) {
        if (n_threads <= 1) return;
        const Processors processors = Processors::of_this_thread();
        workers_.reserve(std::size_t(n_threads));
        try {
            while (this->n_threads() < n_threads) {
                workers_.push_back(Workers::of_process().take(processors));
                workers_.back()->call([this] { work(); }, processors);
            }
        } catch (const std::exception&) {
            // Fewer threads are slower, not wrong.
        }
    }

    ~Team() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            finished_.store(true);
        }
        wake_.notify_all();
        for (std::unique_ptr<Worker>& worker : workers_) {
            worker->recall();
            Workers::of_process().give_back(std::move(worker));
        }
    }

    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;

    Index n_threads() const { return Index(workers_.size()) + 1; }
    // The calling thread's, for work that is not dealt out.
    Control& control() { return control_; }
    bool is_short() const { return n_threads() < n_wanted_; }

    // Calls task(0), ..., task(n_tasks - 1), each once, on any thread; returns when all are done.
    // It waits for tasks that others have begun, never for a worker that has not come yet. Those
    // that are not worth handing out it does itself, in turn.
    void run(Index n_tasks, const Task& task, bool hands_out = true) {
        if (workers_.empty() || n_tasks <= 1 || !hands_out) {
            for (Index i = 0; i < n_tasks; ++i) task(i, control_);
            return;
        }
        task_ = &task;
        pending_.store(n_tasks, std::memory_order_relaxed);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const std::uint64_t run = (claims_.load() >> 32) + 1;
            claims_.store((run << 32) | std::uint64_t(n_tasks), std::memory_order_release);
        }
        wake_.notify_all();
        while (take_task(control_)) {
        }
        while (pending_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
        if (error_) {
            stopped_.store(false);
            std::rethrow_exception(std::exchange(error_, nullptr));
        }
    }

private:
    static Index unclaimed(std::uint64_t claims) { return Index(claims & 0xffffffffu); }

    // Does one task that nobody has begun; false where there is none.
    bool take_task(Control& control) {
        std::uint64_t claims = claims_.load(std::memory_order_acquire);
        do {
            if (unclaimed(claims) == 0) return false;
        } while (!claims_.compare_exchange_weak(claims, claims - 1, std::memory_order_acq_rel));
        try {
            if (!stopped_.load(std::memory_order_relaxed)) (*task_)(unclaimed(claims) - 1, control);
        } catch (const Stopped&) {
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
            stopped_.store(true);
        }
        pending_.fetch_sub(1, std::memory_order_release);
        return true;
    }

    void work() {
        Control control(stopped_, nullptr);
        while (await_tasks())
            while (take_task(control)) {
            }
    }

    // Mini-batches follow one another within microseconds: looks for the next for a while before
    // going to sleep. False when there will be no more.
    bool await_tasks() {
        const auto is_wanted = [this] {
            return unclaimed(claims_.load()) != 0 || finished_.load();
        };
        if (!holds_within(std::chrono::microseconds(1000), is_wanted)) {
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, is_wanted);
        }
        return !finished_.load();
    }

    Control::Check check_;
    std::atomic<bool> stopped_{false};
    Control control_;
    Index n_wanted_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<bool> finished_{false};
    // The number of the run, and below it, in 32 bits, of its tasks that nobody has begun.
    std::atomic<std::uint64_t> claims_{0};
    std::atomic<Index> pending_{0};  // tasks that are not done
    const Task* task_ = nullptr;
    std::exception_ptr error_;
};

}  // namespace elman
