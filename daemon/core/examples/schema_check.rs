use std::io::BufRead;
use tidegate_core::{object::*, schema::*, yaml::Spans, location::Position};
fn main() {
    let c = Catalogue::kubernetes_1_35();
    for line in std::io::stdin().lock().lines() {
        let value: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        let t = |p: &str| value.pointer(p).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let r = ObjectRef { gvk: Gvk::from_api_version(&t("/apiVersion"), &t("/kind")), namespace: None, name: t("/metadata/name") };
        let o = DesiredObject { reference: r, value, spans: Spans::new("x".into(), Position::START), wave: 0 };
        let out: Vec<String> = validate(&o, c).into_iter().filter(|p| p.is_error()).map(|p| format!("{}: {}", p.code, p.message)).collect();
        println!("{}", serde_json::to_string(&out).unwrap());
    }
}
