//! What an environment should look like: `environment.yaml` parsed, its sources read, its objects rendered.
