//! The local API and the command line, as an operator meets them: over a real socket, with the real program, against
//! a daemon whose loop is a small fake.

mod api;
mod cli;
mod fake;
