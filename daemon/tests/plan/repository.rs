//! A small repository with a branch that changes a bit of everything. Its commits have fixed dates, so that their ids are
//! the same wherever they are made.

use crate::git_repo::GitRepo;

/// The environment's file.
pub fn environment(name: &str, further: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata:\n  name: {name}\nspec:\n  cluster:\n    kubeconfig: {{}}\n  \
         namespaces: [{name}]\n{further}"
    )
}

/// A ConfigMap with one value.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: {value}\n")
}

const API: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replicas: 2
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
        - name: api
          image: docker.io/acme/api:${VERSION}
          env:
            - {name: MODE, value: plain}
          readinessProbe: {httpGet: {path: /ready, port: 8080}}
          resources: {requests: {cpu: 250m, memory: 128Mi}}
---
apiVersion: v1
kind: Service
metadata:
  name: api
spec:
  selector: {app: api}
  ports: [{port: 80, targetPort: 8080}]
";

const POLICY: &str = "apiVersion: tidegate.dev/v1
kind: RolloutPolicy
metadata:
  name: blue-green
spec:
  match: {names: [api]}
  gates:
    beforeSwitch:
      - {name: smoke, http: {path: /ready, requests: 20}}
    whileBaking:
      - {name: up, lbHealth: {duration: 30s}}
  bake: {duration: 5m}
";

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: docker.io/acme/migrate:1
";

const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: uploads
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
";

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata:
  name: database
stringData:
  password: hunter2-before
";

const NGINX: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: nginx
data:
  nginx.conf: |
    worker_processes 1;
    events {}
    http {
      server { listen 80; }
    }
";

/// `main` with four environments, and `feature` with changes to three of them; `feature` is checked out.
pub fn example() -> GitRepo {
    let repo = GitRepo::empty();
    let production =
        environment("production", "  policies: [blue-green]\n  substitute:\n    VERSION: 1.0.0\n");
    repo.write("policies/blue-green.yaml", POLICY);
    repo.write("environments/production/environment.yaml", production);
    repo.write("environments/production/api.yaml", API);
    repo.write("environments/production/migrate.yaml", JOB);
    repo.write("environments/production/uploads.yaml", CLAIM);
    repo.write("environments/production/database.yaml", SECRET);
    repo.write("environments/production/nginx.yaml", NGINX);
    repo.write("environments/production/old.yaml", config_map("old", "one"));
    repo.write("environments/staging/environment.yaml", environment("staging", ""));
    repo.write("environments/staging/map.yaml", config_map("map", "one"));
    repo.write("environments/dev/environment.yaml", environment("dev", ""));
    repo.write("environments/dev/map.yaml", config_map("map", "one"));
    repo.write("environments/preview/environment.yaml", environment("preview", ""));
    repo.write("environments/preview/map.yaml", config_map("map", "one"));
    repo.commit_all("everything is as it should be");
    repo.git(&["fetch", "-q", "origin"]);
    repo.git(&["checkout", "-q", "-b", "feature"]);
    change(&repo);
    repo.git(&["add", "-A"]);
    repo.git(&["commit", "-q", "-m", "api 1.1.0"]);
    repo
}

fn change(repo: &GitRepo) {
    let production = environment(
        "production",
        "  policies: [blue-green]\n  substitute:\n    VERSION: 1.1.0\n  prune:\n    budget: {max: 3, percent: 50}\n",
    );
    repo.write("environments/production/environment.yaml", production);
    repo.write("environments/production/api.yaml", API.replace("value: plain", "value: \"`|<b>@team\""));
    repo.write("environments/production/migrate.yaml", JOB.replace("migrate:1", "migrate:2"));
    repo.write("environments/production/database.yaml", SECRET.replace("before", "after"));
    repo.write("environments/production/nginx.yaml", NGINX.replace("processes 1", "processes 4"));
    repo.write("environments/production/flags.yaml", config_map("flags", "fresh"));
    for gone in
        ["production/old.yaml", "production/uploads.yaml", "preview/map.yaml", "preview/environment.yaml"]
    {
        std::fs::remove_file(repo.work().join("environments").join(gone)).expect("it is there");
    }
    let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: map\n  label: {a: b}\ndata:\n  key: ${MISSING}\n";
    repo.write("environments/dev/map.yaml", broken);
}
