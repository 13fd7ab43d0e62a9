//! Vector kernels, each with a portable twin.
