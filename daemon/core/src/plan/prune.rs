//! What leaves the cluster: inventory minus desired, under every guard.
