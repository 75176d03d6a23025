//! Pushes to remotes that do as they should, and to branches that somebody else has moved.

use tidegate::ledger::{Adopted, Answer, LocalError, RemoteError};
use tidegate::source::{Credentials, SshSettings, Token};

use crate::desk::{Bare, Desk, appears, ends, log};
use crate::git_server::{Behaviour, GitServer};
use crate::scene::{Scene, generated};
use crate::ssh_server::SshServer;

/// Two pushes to an empty repository, and what an auditor finds there.
async fn a_log_arrives(desk: &Desk, bare: &Bare) {
    let outcomes = generated(5);
    let mut local = desk.open();
    let nothing = Adopted::Ours { branch: desk.branch(0), remote: None };
    assert_eq!(desk.adopt(&mut local).await, nothing, "an empty repository is none that failed");
    let mut pen = local.pen(&nothing, Scene::cluster()).expect("a new log");
    for part in [&outcomes[..3], &outcomes[3..]] {
        desk.append(&local, &mut pen, part);
        assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
        assert_eq!(bare.tip(pen.branch()), pen.tip());
    }
    let there = desk.adopt(&mut local).await;
    assert_eq!(there, Adopted::Ours { branch: desk.branch(0), remote: pen.tip() });
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 5);
}

#[tokio::test]
async fn a_push_moves_the_branch_of_a_repository_on_this_machine() {
    let bare = Bare::new();
    a_log_arrives(&Desk::new(&bare.url()), &bare).await;
}

#[tokio::test]
async fn a_push_moves_the_branch_behind_http_with_a_token() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), Some("right")).await;
    let token = bare.parent().join("token");
    std::fs::write(&token, "right\n").expect("written");
    let desk = Desk::with(&server.url("origin.git"), |config| {
        config.credentials.token = Some(Token::File(token.clone()));
    });
    a_log_arrives(&desk, &bare).await;
    assert!(server.seen().iter().all(|seen| seen.authorization.is_some()), "no request without it");
    // A token that was changed is read again.
    std::fs::write(&token, "other\n").expect("written");
    let mut local = desk.open();
    let denied = local.adopt(&desk.remote, &desk.keys(), None).await.expect_err("it is another one");
    assert!(matches!(denied, LocalError::Remote(RemoteError::Denied { .. })), "{denied:?}");
}

#[tokio::test]
async fn a_push_moves_the_branch_behind_ssh_with_a_key() {
    let bare = Bare::new();
    let server = SshServer::start();
    let ssh =
        SshSettings { key_file: Some(server.file("user")), known_hosts: Some(server.file("known_hosts")) };
    let desk = Desk::with(&server.url(&bare.path()), |config| {
        config.credentials = Credentials { token: None, ssh };
    });
    a_log_arrives(&desk, &bare).await;
}

#[tokio::test]
async fn while_the_remote_is_away_records_are_written_and_all_of_them_are_pushed_in_order_later() {
    let bare = Bare::new();
    let server = GitServer::start(bare.parent(), None).await;
    let desk = Desk::new(&server.url("origin.git"));
    let outcomes = generated(6);
    let (mut local, mut pen, mut commits) = desk.written(&outcomes[..2]).await;
    for (status, outcome) in [(503, &outcomes[2]), (500, &outcomes[3]), (502, &outcomes[4])] {
        server.behave(Behaviour::Status(status));
        commits.extend(desk.append(&local, &mut pen, std::slice::from_ref(outcome)));
        let error = desk.push(&mut local, &pen).await.expect_err("it is away");
        let RemoteError::Unreachable { reason, .. } = error else { panic!("{error:?}") };
        assert!(reason.contains(&status.to_string()), "{reason}");
        assert_eq!(bare.tip(pen.branch()), Some(commits[1]));
    }
    server.behave(Behaviour::Serve);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    let listed = bare.git(&["rev-list", "--reverse", &desk.branch(0).to_string()]);
    let expected: Vec<String> = commits.iter().map(ToString::to_string).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 5);
}

#[tokio::test]
async fn a_commit_of_somebody_else_is_never_overwritten_and_the_log_goes_on_beside_it() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (mut local, mut pen, _) = desk.written(&outcomes[..2]).await;
    let theirs = bare.theirs(pen.branch());
    desk.append(&local, &mut pen, &outcomes[2..3]);
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    assert_eq!(answer, Answer::Moved { found: Some(theirs) });
    assert_eq!(bare.tip(pen.branch()), Some(theirs), "it stands");
    let adopted = desk.adopt(&mut local).await;
    let Adopted::Foreign { branch, found, next, reason } = &adopted else { panic!("{adopted:?}") };
    assert_eq!((branch, *found, next), (&desk.branch(0), Some(theirs), &desk.branch(1)));
    assert!(reason.contains("not signed"), "{reason}");
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the next epoch");
    desk.append(&local, &mut pen, &outcomes[3..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    let checked = bare.check(&desk.log, desk.keys());
    assert_eq!((checked.records, checked.tip), (4, pen.tip()));
    assert_eq!(checked.foreign, [(desk.branch(0), theirs)]);
    // Once there, it stays there, whatever becomes of the old branch.
    bare.theirs(&desk.branch(0));
    let there = Adopted::Ours { branch: desk.branch(1), remote: pen.tip() };
    assert_eq!(desk.adopt(&mut local).await, there);
}

#[tokio::test]
async fn a_branch_that_was_moved_back_is_told_now_and_after_a_restart() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (mut local, mut pen, commits) = desk.written(&outcomes[..3]).await;
    bare.point(&desk.branch(0), Some(commits[0]));
    desk.append(&local, &mut pen, &outcomes[3..]);
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    assert_eq!(answer, Answer::Moved { found: Some(commits[0]) });
    assert_eq!(bare.tip(&desk.branch(0)), Some(commits[0]), "it is not put back, which would hide it");
    drop(local);
    let mut local = desk.open();
    let adopted = desk.adopt(&mut local).await;
    let Adopted::Foreign { found, next, reason, .. } = &adopted else { panic!("{adopted:?}") };
    assert_eq!((*found, next), (Some(commits[0]), &desk.branch(1)));
    assert!(reason.contains("does not hold the commit"), "{reason}");
    let mut pen = local.pen(&adopted, Scene::cluster()).expect("the next epoch");
    desk.append(&local, &mut pen, &outcomes[..1]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 5, "none of the log is lost with the branch");
}

#[tokio::test]
async fn a_branch_that_was_taken_away_is_told_and_not_made_again() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(3);
    let (mut local, mut pen, _) = desk.written(&outcomes[..2]).await;
    bare.point(&desk.branch(0), None);
    desk.append(&local, &mut pen, &outcomes[2..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Moved { found: None });
    assert_eq!(bare.tip(&desk.branch(0)), None);
    let adopted = desk.adopt(&mut local).await;
    let Adopted::Foreign { found: None, next, .. } = &adopted else { panic!("{adopted:?}") };
    assert_eq!(next, &desk.branch(1));
    let pen = local.pen(&adopted, Scene::cluster()).expect("the next epoch");
    assert_eq!(pen.branch(), &desk.branch(1));
}

#[tokio::test]
async fn a_branch_that_somebody_made_before_us_is_left_to_them() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let (mut local, mut pen) = desk.begin().await;
    let theirs = bare.theirs(&desk.branch(0));
    desk.append(&local, &mut pen, &generated(1));
    let answer = desk.push(&mut local, &pen).await.expect("an answer");
    assert_eq!(answer, Answer::Moved { found: Some(theirs) });
    assert_eq!(bare.tip(&desk.branch(0)), Some(theirs));
}

#[tokio::test]
async fn a_push_whose_answer_is_lost_counts_as_pushed() {
    let bare = Bare::new();
    let desk = Desk::new(&bare.url());
    let outcomes = generated(4);
    let (mut local, mut pen, _) = desk.written(&outcomes[..1]).await;
    // The server takes it and dies before it says so.
    bare.hook("post-receive", Some("kill -9 $PPID"));
    desk.append(&local, &mut pen, &outcomes[1..2]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.tip(pen.branch()), pen.tip());
    // The server takes it and says nothing, and we do not wait for it.
    let file = bare.parent().join("taken");
    bare.hook("post-receive", Some(&format!("echo $$ > {}; exec sleep 600", file.display())));
    let before = desk.append(&local, &mut pen, &outcomes[2..3]);
    let hook = tokio::select! {
        answer = desk.push(&mut local, &pen) => panic!("it was to say nothing: {answer:?}"),
        hook = appears(&file) => hook,
    };
    ends(&hook).await;
    assert_eq!(bare.tip(pen.branch()), Some(before[0]), "it was taken");
    bare.hook("post-receive", None);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    desk.append(&local, &mut pen, &outcomes[3..]);
    assert_eq!(desk.push(&mut local, &pen).await.expect("an answer"), Answer::Pushed);
    assert_eq!(bare.check(&desk.log, desk.keys()).records, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn six_environments_that_push_at_once_are_never_rejected() {
    const PUSHES: usize = 15;
    let bare = Bare::new();
    let outcomes = generated(PUSHES);
    let writers: Vec<_> = ["dev", "test", "stage", "qa", "prod", "demo"]
        .map(|name| {
            let desk = Desk { log: log(name), ..Desk::new(&bare.url()) };
            let outcomes = outcomes.clone();
            tokio::spawn(async move {
                let (mut local, mut pen) = desk.begin().await;
                let mut rejected = 0;
                for outcome in &outcomes {
                    desk.append(&local, &mut pen, std::slice::from_ref(outcome));
                    let answer = desk.push(&mut local, &pen).await;
                    rejected += usize::from(!matches!(answer, Ok(Answer::Pushed)));
                }
                (desk, rejected)
            })
        })
        .into();
    let mut rejected = 0;
    let pushes = writers.len() * PUSHES;
    for writer in writers {
        let (desk, more) = writer.await.expect("no panic");
        rejected += more;
        assert_eq!(bare.check(&desk.log, desk.keys()).records, PUSHES as u64);
    }
    println!("{pushes} pushes of 6 environments at once, {rejected} rejected");
    assert_eq!(rejected, 0);
}
