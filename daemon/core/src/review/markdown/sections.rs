//! The parts of a comment, from its headline to its last line.

use super::Comment;
use super::fence::{block, span};
use super::fit::{Block, fit};
use crate::problem::{Problem, Severity};
use crate::review::lines::{self, Line, Sign};
use crate::review::live::{Live, LiveReview};
use crate::review::visible::{cut_middle, visible};
use crate::review::{Action, Counts, EnvironmentReview, ObjectChange, Review, Standing};

/// Rows of the table; further environments are counted.
const ROWS: usize = 50;
/// Notes of the comparison.
const NOTES: usize = 10;
/// Notes of one environment.
const ENVIRONMENT_NOTES: usize = 6;
/// Characters of one message.
const MESSAGE_CHARS: usize = 1_000;
/// Bytes of a heading of an environment with the marks around its block.
const FRAME_BYTES: usize = 900;

/// The headline and what is compared.
pub(super) fn head(out: &mut String, comment: &Comment<'_>) {
    out.push_str(&format!("### Tidegate plan: {}\n\n", comment.review.line()));
    out.push_str(&format!("{} → {}\n\n", span(comment.base), span(comment.head)));
    for note in comment.notes.iter().take(NOTES) {
        out.push_str(&format!("- {}\n", span(note)));
    }
    if !comment.notes.is_empty() {
        out.push('\n');
    }
}

/// One row for each environment in which something changes.
pub(super) fn table(out: &mut String, review: &Review) {
    let news: Vec<&EnvironmentReview> =
        review.environments.iter().filter(|environment| environment.has_news()).collect();
    let quiet = review.environments.len() - news.len();
    if !news.is_empty() {
        out.push_str("| environment | delete | replace | kept | create | update | settings | errors |\n");
        out.push_str("|---|---|---|---|---|---|---|---|\n");
    }
    for environment in news.iter().take(ROWS) {
        let Counts { delete, replace, keep, create, update, settings, rollouts: _, errors, warnings: _ } =
            environment.counts;
        let name = span(&environment.name);
        let standing = match environment.standing {
            Standing::Unchanged | Standing::Changed => "",
            Standing::Added => " (new)",
            Standing::Removed => " (leaves git)",
            Standing::Broken => " (broken)",
            Standing::Unknown => " (unknown)",
        };
        let cells = [delete, replace, keep, create, update, settings, errors]
            .map(|count| if count == 0 { "·".to_owned() } else { count.to_string() });
        out.push_str(&format!("| {name}{standing} | {} |\n", cells.join(" | ")));
    }
    let further: Vec<&&EnvironmentReview> = news.iter().skip(ROWS).collect();
    if !news.is_empty() {
        out.push('\n');
    }
    if !further.is_empty() {
        let counts = further.iter().fold(Counts::default(), |all, review| all.plus(review.counts));
        out.push_str(&format!("… and {} more environments: {}\n\n", further.len(), counts.line()));
    }
    if quiet > 0 && !news.is_empty() {
        let noun = if quiet == 1 { "environment" } else { "environments" };
        out.push_str(&format!("No changes in {quiet} more {noun}.\n\n"));
    }
}

/// Errors and warnings, errors first.
pub(super) fn problems(out: &mut String, review: &Review, bytes: usize) {
    let mut all: Vec<(&str, &Problem, bool)> = Vec::new();
    for environment in &review.environments {
        let base = environment.base_problems.iter().map(|problem| (environment.name.as_str(), problem, true));
        let head = environment.problems.iter().map(|problem| (environment.name.as_str(), problem, false));
        all.extend(head.chain(base));
    }
    all.sort_by_key(|(_, problem, base)| (*base, !problem.is_error()));
    let blocks: Vec<Block> =
        all.iter().map(|(name, problem, base)| problem_block(name, problem, *base)).collect();
    if blocks.is_empty() {
        return;
    }
    out.push_str("**Errors and warnings**\n\n");
    let (lines, left) = fit(&blocks, bytes);
    out.push_str(&block("diff", &lines));
    if left > 0 {
        out.push_str(&format!("\n… and {left} more of them\n"));
    }
    out.push('\n');
}

fn problem_block(environment: &str, problem: &Problem, base: bool) -> Block {
    let Problem { severity, code, message, location, related, object, field: _, notes, help } = problem;
    let (sign, word) = match severity {
        Severity::Error => (Sign::Old, "error"),
        Severity::Warning => (Sign::Changed, "warning"),
    };
    let side = if base { " in base" } else { "" };
    let about = object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
    let message = cut_middle(message, MESSAGE_CHARS);
    let mut lines =
        vec![Line::new(sign, 0, &format!("{environment}: {word}[{code}]{side}: {about}{message}"))];
    lines.extend(location.iter().map(|place| Line::new(Sign::Plain, 1, &format!("--> {place}"))));
    let others = related.iter().map(|other| format!("= {}: {}", other.note, other.location));
    lines.extend(others.map(|text| Line::new(Sign::Plain, 1, &text)));
    let notes = notes.iter().flat_map(|note| note.lines());
    lines.extend(notes.map(|note| Line::new(Sign::Plain, 1, &format!("= {note}"))));
    lines.extend(help.iter().map(|help| Line::new(Sign::Plain, 1, &format!("help: {help}"))));
    lines
}

/// What becomes of workloads in colours.
pub(super) fn rollouts(out: &mut String, review: &Review, bytes: usize) {
    let of = |environment: &EnvironmentReview| -> Vec<Block> {
        let name = visible(&environment.name);
        let blocks = environment.rollouts.iter().map(lines::of_rollout);
        blocks.map(|lines| named(&name, lines)).collect()
    };
    let blocks: Vec<Block> = review.environments.iter().flat_map(of).collect();
    if blocks.is_empty() {
        return;
    }
    out.push_str("**Rollouts**\n\n");
    let (lines, left) = fit(&blocks, bytes);
    out.push_str(&block("diff", &lines));
    if left > 0 {
        out.push_str(&format!("\n… and {left} more of them\n"));
    }
    out.push('\n');
}

/// The first line says which environment it is about.
fn named(environment: &str, mut lines: Block) -> Block {
    if let Some(first) = lines.first_mut() {
        first.text = format!("{environment}: {}", first.text);
    }
    lines
}

/// Whether a change is listed before everything else.
fn is_first(change: &ObjectChange) -> bool {
    match change.action {
        Action::Delete | Action::Replace { .. } | Action::Keep { .. } => true,
        Action::Create | Action::Update => false,
    }
}

/// Deletes, replaces, and what is kept though it left git.
pub(super) fn first(out: &mut String, review: &Review, bytes: usize) {
    let all: Vec<(&EnvironmentReview, &ObjectChange)> = review
        .environments
        .iter()
        .flat_map(|environment| environment.changes.iter().map(move |change| (environment, change)))
        .filter(|(_, change)| is_first(change))
        .collect();
    // Of all environments the deletes, then the replaces, then what is kept: what is cut is what hurts least.
    let mut sorted = all;
    sorted.sort_by_key(|(_, change)| match change.action {
        Action::Delete => 0,
        Action::Replace { .. } => 1,
        Action::Keep { .. } | Action::Create | Action::Update => 2,
    });
    if sorted.is_empty() {
        return;
    }
    let blocks: Vec<Block> = sorted
        .iter()
        .map(|(environment, change)| named(&visible(&environment.name), lines::of_change(change)))
        .collect();
    out.push_str("**Deletes and replaces**\n\n");
    let (lines, left) = fit(&blocks, bytes);
    out.push_str(&block("diff", &lines));
    if left > 0 {
        let cut = sorted.iter().skip(sorted.len() - left);
        let (mut deletes, mut replaces, mut kept) = (0, 0, 0);
        for (_, change) in cut {
            match change.action {
                Action::Delete => deletes += 1,
                Action::Replace { .. } => replaces += 1,
                Action::Keep { .. } | Action::Create | Action::Update => kept += 1,
            }
        }
        let counts = [(deletes, "deletes"), (replaces, "replaces"), (kept, "that are kept")];
        let words =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, of)| format!("{count} more {of}"));
        let words: Vec<String> = words.collect();
        out.push_str(&format!("\n**… and {}**; `tidegate plan` lists them all\n", words.join(", ")));
    }
    out.push('\n');
}

/// Creates, updates and settings, environment by environment.
pub(super) fn rest(out: &mut String, review: &Review, bytes: usize) {
    let concerned: Vec<(&EnvironmentReview, Vec<Block>)> = review
        .environments
        .iter()
        .map(|environment| (environment, blocks_of(environment)))
        .filter(|(_, blocks)| !blocks.is_empty())
        .collect();
    let mut left = bytes;
    for (index, (environment, blocks)) in concerned.iter().enumerate() {
        // Each environment gets its share of what those before it left over.
        let share = left / (concerned.len() - index);
        let Some(room) = share.checked_sub(FRAME_BYTES).filter(|room| *room > FRAME_BYTES) else {
            let count: usize = concerned.iter().skip(index).map(|(_, blocks)| blocks.len()).sum();
            let more = concerned.len() - index;
            let text = format!("… and {count} more changes in {more} more environments\n\n");
            out.push_str(&text);
            return;
        };
        let before = out.len();
        let (lines, cut) = fit(blocks, room);
        let open = if concerned.len() == 1 { " open" } else { "" };
        let name = html(&cut_middle(&visible(&environment.name), 60));
        out.push_str(&format!(
            "<details{open}><summary><code>{name}</code>: {}</summary>\n\n",
            environment.line()
        ));
        out.push_str(&block("diff", &lines));
        if cut > 0 {
            out.push_str(&format!("\n… and {cut} more changes\n"));
        }
        out.push_str("\n</details>\n\n");
        left = left.saturating_sub(out.len() - before);
    }
}

fn blocks_of(environment: &EnvironmentReview) -> Vec<Block> {
    let note = |note: &crate::review::Note| {
        let place = note.location.as_ref().map(|place| format!("  # {place}")).unwrap_or_default();
        vec![Line::new(Sign::Plain, 0, &format!("{}{place}", note.text))]
    };
    let mut blocks: Vec<Block> = environment.notes.iter().take(ENVIRONMENT_NOTES).map(note).collect();
    if !environment.settings.is_empty() {
        let mut lines = vec![Line::new(Sign::Changed, 0, "environment.yaml")];
        lines.extend(environment.settings.iter().flat_map(lines::of_edit));
        blocks.push(lines);
    }
    let later = environment.changes.iter().filter(|change| !is_first(change));
    blocks.extend(later.map(lines::of_change));
    blocks
}

/// Text within HTML.
fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not HTML, but Markdown.
            '`' => out.push_str("&#96;"),
            '@' => out.push_str("&#64;"),
            c => out.push(c),
        }
    }
    out
}

/// What clusters say, apart from the plan itself.
pub(super) fn live(out: &mut String, live: &[Live], bytes: usize) {
    let Some(share) = bytes.checked_div(live.len()) else { return };
    out.push_str("**Live**\n\n");
    if share < 2 * FRAME_BYTES {
        let troubled = live.iter().filter(|live| !live_blocks(live).is_empty()).count();
        out.push_str(&format!("{} environments asked, something to say about {troubled}\n\n", live.len()));
        return;
    }
    for live in live {
        out.push_str(&format!(
            "{} in {}, asked at {} about {}\n\n",
            span(&live.environment),
            span(&live.cluster),
            span(&lines::second(live.at).to_string()),
            lines::count(live.asked, "object")
        ));
        let blocks = live_blocks(live);
        if blocks.is_empty() {
            out.push_str("Nothing to report: no drift, no refusals.\n\n");
            continue;
        }
        let (lines, left) = fit(&blocks, share.saturating_sub(FRAME_BYTES));
        out.push_str(&block("diff", &lines));
        if left > 0 {
            out.push_str(&format!("\n… and {left} more objects\n"));
        }
        out.push('\n');
    }
}

fn live_blocks(live: &Live) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    if let Some(why) = &live.unreachable {
        blocks.push(vec![Line::new(Sign::Old, 0, &format!("not asked: {why}"))]);
    }
    blocks.extend(live.problems.iter().map(|problem| problem_block(&live.environment, problem, false)));
    blocks.extend(live.objects.iter().map(|object| of_live(object, &live.environment)));
    blocks
}

/// What a cluster says about one object, as lines.
fn of_live(found: &LiveReview, environment: &str) -> Block {
    let mut lines = vec![lines::live_heading(found)];
    lines.extend(found.drift.iter().map(lines::of_drift));
    lines.extend(found.problems.iter().flat_map(|problem| problem_block(environment, problem, false)));
    lines
}

/// The id, by which what was reviewed is compared with what ran.
pub(super) fn foot(out: &mut String, review: &Review) {
    out.push_str(&format!("<sub>plan <code>{}</code></sub>\n", review.plan_id));
}
