//! Exit codes: fixed, so that cron, Kubernetes' pod failure policy and scripts can rely on them.

/// How a command ended. The worse of two is [`Exit::and`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: nothing failed, nothing needs a person.
    Done,
    /// 1: a bug in leadsync.
    Bug,
    /// 2: usage, configuration or credentials; repeating won't help.
    Usage,
    /// 3: finished, but leads of this run were rejected, exhausted or unconfirmed.
    Rejects,
    /// 4: unavailable or interrupted; leads that we deferred are waiting, run again.
    Unavailable,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Rejects => 3,
            Self::Unavailable => 4,
        }
    }

    /// Both happened: a bug beats a wrong configuration, that beats "run again" (4), that beats rejects (3).
    pub fn and(self, other: Self) -> Self {
        let weight = |exit: Self| match exit {
            Self::Done => 0,
            Self::Rejects => 1,
            Self::Unavailable => 2,
            Self::Usage => 3,
            Self::Bug => 4,
        };
        if weight(other) > weight(self) { other } else { self }
    }
}
