#include <pybind11/pybind11.h>

#include "binding/decoding.hpp"
#include "binding/fleet.hpp"
#include "binding/mixture.hpp"
#include "binding/predictor.hpp"
#include "binding/seq2seq.hpp"
#include "binding/stream.hpp"
#include "binding/trainer.hpp"

PYBIND11_MODULE(ELMAN_MODULE_NAME, module, pybind11::mod_gil_not_used()) {
    module.doc() = "The compiled core of elman: arrays in, arrays out.";
    elman::binding::register_network(module);
    elman::binding::register_predictor(module);
    elman::binding::register_stream(module);
    elman::binding::register_trainer(module);
    elman::binding::register_mixture(module);
    elman::binding::register_seq2seq(module);
    elman::binding::register_decoding(module);
    elman::binding::register_fleet(module);
}
