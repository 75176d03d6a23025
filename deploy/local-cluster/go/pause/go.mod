// The program that holds the namespaces of a pod open.
module tidegate.local/cluster/pause

go 1.26
