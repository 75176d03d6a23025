//! What is deployed: apps of four objects, as files of environments for the daemon and as objects for the raw client.
//!
//! Both sides get the same objects. Services are headless, so that no kube-proxy works beside the measurement, and
//! Deployments have no replicas, so that no container does.

use anyhow::Result;
use serde_json::Value;

/// The annotation by which a version is recognised on every object.
pub const VERSION: &str = "bench.example.com/version";

/// Objects of one app.
pub const OBJECTS: usize = 4;

const APP: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: NAME
  namespace: NAMESPACE
  annotations:
    bench.example.com/version: VERSION
---
apiVersion: v1
kind: Service
metadata:
  name: NAME
  namespace: NAMESPACE
  annotations:
    bench.example.com/version: VERSION
  labels:
    app: NAME
spec:
  clusterIP: None
  selector:
    app: NAME
  ports:
    - name: http
      port: 80
      targetPort: 8080
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  namespace: NAMESPACE
  annotations:
    bench.example.com/version: VERSION
  labels:
    app: NAME
spec:
  replicas: REPLICAS
  selector:
    matchLabels:
      app: NAME
  template:
    metadata:
      labels:
        app: NAME
    spec:
      serviceAccountName: NAME
SCHEDULER      containers:
        - name: main
          image: docker.io/local/app:VERSION
          ports:
            - containerPort: 8080
          env:
            - name: MODE
              value: production
          resources:
            requests:
              cpu: 10m
              memory: 16Mi
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: NAME
  namespace: NAMESPACE
  annotations:
    bench.example.com/version: VERSION
spec:
  rules:
    - host: NAME.bench.example.com
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: NAME
                port:
                  number: 80
";

/// Whether an app can become healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does at once: no replicas are asked for.
    Healthy,
    /// Never: its pod waits for a scheduler that does not exist.
    Sick,
}

/// The apps of one side of a comparison.
#[derive(Debug, Clone)]
pub struct Apps {
    pub namespace: String,
    pub names: Vec<String>,
}

impl Apps {
    /// So many apps in a namespace.
    pub fn new(namespace: &str, count: usize) -> Self {
        let names = (0..count).map(|number| format!("app-{number:04}")).collect();
        Self { namespace: namespace.to_owned(), names }
    }

    /// The manifests of one app.
    pub fn manifests(&self, name: &str, version: &str, fate: Fate) -> String {
        let (replicas, scheduler) = match fate {
            Fate::Healthy => ("0", ""),
            Fate::Sick => ("1", "      schedulerName: nobody\n"),
        };
        // Each word is one that nothing else in the text contains, but for `VERSION` and `SCHEDULER` in capitals.
        APP.replace("NAMESPACE", &self.namespace)
            .replace("REPLICAS", replicas)
            .replace("SCHEDULER", scheduler)
            .replace("VERSION", version)
            .replace("NAME", name)
    }

    /// All objects, as the raw client sends them.
    pub fn objects(&self, version: &str) -> Result<Vec<Value>> {
        let mut objects = Vec::with_capacity(self.names.len() * OBJECTS);
        for name in &self.names {
            let text = self.manifests(name, version, Fate::Healthy);
            objects.extend(serde_yaml::from_multiple::<Value>(&text)?);
        }
        Ok(objects)
    }

    /// The files of the repository: the apps spread over so many environments, each app's environment its own when they are equal.
    pub fn files(&self, environments: usize, version: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for (number, name) in self.names.iter().enumerate() {
            let environment = self.environment_of(number, environments);
            let folder = format!("environments/{environment}");
            if number < environments {
                files.push((
                    format!("{folder}/environment.yaml"),
                    environment_file(&environment, &self.namespace),
                ));
            }
            files.push((format!("{folder}/{name}.yaml"), self.manifests(name, version, Fate::Healthy)));
        }
        files
    }

    /// The environment of the app with this number.
    fn environment_of(&self, number: usize, environments: usize) -> String {
        if environments >= self.names.len() {
            self.names.get(number).cloned().unwrap_or_default()
        } else {
            format!("environment-{}", number % environments.max(1))
        }
    }
}

/// An `environment.yaml` for an environment in this namespace.
pub fn environment_file(name: &str, namespace: &str) -> String {
    format!(
        "apiVersion: tidegate.dev/v1\nkind: Environment\nmetadata:\n  name: {name}\nspec:\n  cluster:\n    kubeconfig: {{}}\n  \
         namespaces: [{namespace}]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_four_objects_that_carry_their_version() {
        let objects = Apps::new("space", 2).objects("v7").expect("they are well formed");
        assert_eq!(objects.len(), 2 * OBJECTS);
        for object in &objects {
            assert_eq!(object["metadata"]["annotations"][VERSION], "v7", "{object}");
            assert_eq!(object["metadata"]["namespace"], "space", "{object}");
        }
    }

    #[test]
    fn environments_share_the_apps_evenly() {
        let apps = Apps::new("space", 7);
        let count = |environments: usize, ending: &str| {
            apps.files(environments, "v1").iter().filter(|(path, _)| path.ends_with(ending)).count()
        };
        assert_eq!((count(3, "/environment.yaml"), count(7, "/environment.yaml")), (3, 7));
        assert_eq!((count(3, ".yaml"), count(7, ".yaml")), (10, 14));
    }
}
