//! The stock job `wordcount` as a plugin: the same code on the other side of the border, so that both can be measured beside each other.
//! `docs/benchmarks.md` has the command.

#![allow(unsafe_code, reason = "the macro exports a symbol")]

mapfold_job::plugin!(mapfold_stock::WordCount);
