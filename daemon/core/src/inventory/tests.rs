//! Behaviour of the inventory.
