use tidegate_proptests::rollout::*;
fn main() {
    let a: Vec<u32> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let g = |i: usize| a.get(i).copied().unwrap_or(0); let z = |i: usize| if g(i) == 9 { 255u8 } else { g(i) as u8 };
    let base = Limits { revisions: g(0) as u8, unknown: g(12) > 0, ends: g(13) > 0, adopts: g(14) > 0, orders: z(15), retries: g(1), moves: z(2), daemons: g(3) as usize, late: z(4), flaps: z(5), edits: z(6), unknowns: z(7), followers: g(11) > 0, bug: None };
    let gates = gates();
    let t = std::time::Instant::now();
    let mut ends = std::collections::BTreeMap::new();
    let r = explore(&base, g(8) as usize, |w| { if g(9) == 0 { return Ok(()); } for v in [tidegate_core::rollout::Verdict::Pass, tidegate_core::rollout::Verdict::Fail] { *ends.entry(format!("{v:?} {:?}", rest(w, v, &base, &gates)?)).or_insert(0) += 1; } Ok(()) });
    match r { Ok(e) => println!("{e:?} {:?} {ends:?}", t.elapsed()), Err(f) => { println!("{}\n{}", f.what, f.trace.join("\n")); return; } }
    if g(10) > 0 { for bug in Bug::ALL { let t = std::time::Instant::now(); match explore(&Limits { bug: Some(bug), ..base.clone() }, g(8) as usize, |_| Ok(())) { Ok(e) => println!("{bug:?} NOT FOUND {e:?} {:?}", t.elapsed()), Err(f) => println!("{bug:?} found: {} in {} steps, {:?}", f.what, f.trace.len(), t.elapsed()) } } }
}
