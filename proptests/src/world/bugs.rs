//! Bugs that are planted in the replicas, never in the program: a harness that does not find them has no teeth.

use std::fmt;

/// One planted bug. Each stands for a mistake that this program, or one of its kind, has made or could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// What could not be read is taken for absent.
    PartialReadTrusted,
    /// An entry is forgotten when its delete is sent, whatever comes of it.
    ForgottenBeforeDeleted,
    /// The inventory is written after the objects.
    InventoryAfterWrite,
    /// Deletes carry no uid.
    NoUidPrecondition,
    /// Every replica works on every environment.
    LeaseIgnored,
    /// A force-push is followed like any commit.
    RewindAccepted,
    /// Any number of objects is deleted at once.
    BudgetIgnored,
    /// What a watch does not show does not exist, and is created without condition.
    StaleReadTrusted,
    /// A broken commit replaces the last good one.
    LastGoodDropped,
    /// An object of the right name is ours, whoever made it.
    RecreatedTakenForOurs,
    /// What was sent is live, without looking.
    LiveWithoutReadBack,
    /// A commit is applied before it is claimed.
    CommitNotClaimed,
    /// A folder that is gone asks for nothing.
    MissingFolderDeletes,
    /// A suspended environment is worked on.
    SuspensionIgnored,
    /// A dry-run that failed found nothing.
    FailedDryRunInSync,
    /// A migration is not written down before it is sent (a bug of the past).
    MigrationNotNoted,
    /// The reply to a write that nobody received is taken for a good one.
    LostReplyIsDone,
    /// Absence in the inventory's kinds is decided by the inventory alone: an object that somebody deleted stays away.
    DeletionNotRepaired,
    /// An environment is taken over, or taken down, with the inventory that was read before (a bug of the past).
    TakenOverUnread,
    /// A commit that was rolled back from is tried again by the next pass.
    HoldForgotten,
    /// The good commit is enforced before the hold of the bad one is written down.
    HoldWrittenLate,
    /// It goes back to the commit before, whether or not that was ever live.
    RolledBackToPrevious,
    /// What is not healthy at once sends its commit back.
    DeadlineIgnored,
    /// What is applied is good, healthy or not.
    GoodUnproven,
    /// A hold outlives the claim of what git asks for next.
    HoldOutlives,
    /// What was sick before sends a commit back that leaves it as it was.
    SickBlamed,
    /// One environment is worked on at a time.
    OneAtATime,
    /// When the pass of an environment fails, all of them pause.
    AllBackOff,
    /// A commit with a broken environment is followed by none.
    BrokenForAll,
}

impl Bug {
    /// Those that a history must find; the others need a neighbour ([`super::neighbours`]).
    pub const ALL: [Self; 26] = [
        Self::PartialReadTrusted,
        Self::ForgottenBeforeDeleted,
        Self::InventoryAfterWrite,
        Self::NoUidPrecondition,
        Self::LeaseIgnored,
        Self::RewindAccepted,
        Self::BudgetIgnored,
        Self::StaleReadTrusted,
        Self::LastGoodDropped,
        Self::RecreatedTakenForOurs,
        Self::LiveWithoutReadBack,
        Self::CommitNotClaimed,
        Self::MissingFolderDeletes,
        Self::SuspensionIgnored,
        Self::FailedDryRunInSync,
        Self::MigrationNotNoted,
        Self::LostReplyIsDone,
        Self::DeletionNotRepaired,
        Self::TakenOverUnread,
        Self::HoldForgotten,
        Self::HoldWrittenLate,
        Self::RolledBackToPrevious,
        Self::DeadlineIgnored,
        Self::GoodUnproven,
        Self::HoldOutlives,
        Self::SickBlamed,
    ];
}

impl Bug {
    /// Those with which a poisoned environment delays others.
    pub const OF_NEIGHBOURS: [Self; 3] = [Self::OneAtATime, Self::AllBackOff, Self::BrokenForAll];
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
