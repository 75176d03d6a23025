//! The tasks of a replica: its Lease, its source, and a lane for each environment. They run for ever, from request to request,
//! and end by being killed.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use jiff::Timestamp;
use tidegate_core::ids::EnvironmentName;

use super::environments;
use super::lane::Lane;
use super::replica::{Local, Shared, follow, keep};
use super::request::{Line, Request};

/// What a task is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// An environment.
    Lane(EnvironmentName),
    /// The Leases.
    Lease,
    /// The repository.
    Source,
}

impl Work {
    /// Whether a request of it may be answered: others at any time, a sleep when it is over or the sleeper is woken.
    pub fn is_due(&self, local: &Local, request: &Request, now: Timestamp) -> bool {
        let Request::Sleep { until, wake } = request else { return true };
        let woken = match self {
            Self::Lane(_) => wake.as_ref().is_some_and(|name| local.woken.contains(name)),
            Self::Source => local.poll_now,
            Self::Lease => false,
        };
        *until <= now || woken
    }
}

/// One task.
pub struct Task {
    /// What it is for.
    pub work: Work,
    /// Its requests.
    pub line: Line,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    fn new(work: Work, line: Line, future: impl Future<Output = ()> + 'static) -> Self {
        let mut task = Self { work, line, future: Box::pin(future) };
        task.poll();
        task
    }

    /// The task of a lane alone.
    pub fn of_lane(work: Lane) -> Self {
        Self::new(Work::Lane(work.name.clone()), work.line.clone(), work.run())
    }

    /// Lets it go on to its next request.
    pub fn poll(&mut self) {
        let _ = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
}

/// The tasks of a replica that starts.
pub fn tasks_of(local: &Rc<RefCell<Local>>, world: &Shared) -> Vec<Task> {
    let (lease, source) = (Line::default(), Line::default());
    let mut tasks = vec![
        Task::new(Work::Lease, lease.clone(), keep(local.clone(), world.clone(), lease)),
        Task::new(Work::Source, source.clone(), follow(local.clone(), world.clone(), source)),
    ];
    for name in environments() {
        let line = Line::default();
        let run = Lane::new(name.clone(), local.clone(), world.clone(), line.clone()).run();
        tasks.push(Task::new(Work::Lane(name), line, run));
    }
    tasks
}
