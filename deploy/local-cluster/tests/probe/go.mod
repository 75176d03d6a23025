// A small server for the tests of the local cluster.
module tidegate.local/cluster/probe

go 1.26
