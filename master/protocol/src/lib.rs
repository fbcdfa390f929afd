//! How Mapfold's master, workers and clients talk: the services, their messages, one codec, and the
//! transports that carry them.

pub mod service;
