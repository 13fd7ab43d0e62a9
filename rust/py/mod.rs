//! The door to Python: flat data in, flat arrays out. The only room that knows pyo3.

mod ahead;
mod bytelm;
mod chunks;
mod count;
mod errors;
mod feed;
mod functions;
mod guide;
mod input;
mod interrupt;
mod lexicon;
mod ngram;
mod parity;
mod replay;
mod stream;
mod tokenizer;
mod train;
mod variants;

use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    load_numpy(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("debug_build", cfg!(debug_assertions))?;
    module.add_class::<tokenizer::PyTokenizer>()?;
    module.add_class::<stream::PyStreamEncoder>()?;
    module.add_class::<bytelm::PyByteVocab>()?;
    module.add_class::<bytelm::PyByteTree>()?;
    module.add_class::<ahead::PyByteAhead>()?;
    module.add_class::<guide::PyByteGuide>()?;
    module.add_class::<train::PyTrainer>()?;
    module.add_class::<parity::PyParityTrainer>()?;
    module.add_class::<replay::PyReplay>()?;
    module.add_class::<count::PyPieceCounter>()?;
    module.add_function(wrap_pyfunction!(count::merge_counts, module)?)?;
    module.add_function(wrap_pyfunction!(count::merge_runs, module)?)?;
    module.add_function(wrap_pyfunction!(count::merge_runs_to_files, module)?)?;
    module.add_function(wrap_pyfunction!(count::sum_counts, module)?)?;
    module.add_function(wrap_pyfunction!(functions::parse_model, module)?)?;
    module.add_function(wrap_pyfunction!(functions::parse_ranks, module)?)?;
    module.add_function(wrap_pyfunction!(functions::merges_from_ranks, module)?)?;
    module.add_function(wrap_pyfunction!(functions::pattern_steps, module)?)?;
    module.add_function(wrap_pyfunction!(functions::pattern_names, module)?)?;
    module.add_function(wrap_pyfunction!(functions::odd_loop, module)?)?;
    module.add_function(wrap_pyfunction!(functions::jsonl_texts, module)?)?;
    module.add_function(wrap_pyfunction!(functions::cpu_features, module)?)?;
    module.add_function(wrap_pyfunction!(variants::extend_merges, module)?)?;
    module.add_function(wrap_pyfunction!(variants::graft_tokens, module)?)?;
    module.add_function(wrap_pyfunction!(variants::picky_history, module)?)?;
    module.add_class::<variants::PyWordRuns>()?;
    module.add_class::<chunks::PyChunkCounter>()?;
    module.add_class::<chunks::PyStepper>()?;
    module.add_class::<lexicon::PyLexicon>()?;
    module.add_function(wrap_pyfunction!(lexicon::learn_lexicon, module)?)?;
    module.add_class::<ngram::PyNgramDocuments>()?;
    module.add_class::<ngram::PyNgram>()?;
    Ok(())
}

/// Loads NumPy and looks up its functions. Left to the first array that a call returns, a Ctrl-C
/// that is pending then would end the look-up, which is a panic.
fn load_numpy(py: Python<'_>) -> PyResult<()> {
    numpy::get_array_module(py)?;
    PyArray1::<i32>::zeros(py, 0, false).try_readonly().map(drop)?;
    Ok(())
}
