//! What `status` shows of one environment: the record that the daemon keeps on its parent object.
