//! Behaviour of workloads, on a small shop; each test changes what it is about. Properties stand in `proptests/`.

mod changes;
mod drain;
mod refused;
mod shop;
mod slots;
mod splits;
