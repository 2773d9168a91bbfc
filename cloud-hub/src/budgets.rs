//! Budgets of links: *these nodes' images may take so much*. A budget is stored under its name, assigned to nodes as
//! deployments are, and reaches a node inside its signed desired state ([`crate::desired`]). The node keeps to it alone.

use shared::assign::Target;
use shared::budget::Budget;
use shared::fault::{Fault, Faulty, hub};
use shared::id::Name;

use crate::deployments::target_problem;
use crate::desired::Scope;
use crate::hub::Hub;
use crate::records::{self, BUDGETS, HUB, Stored, key};
use crate::refusal::{Kind, Refusal};
use crate::store::{Change, Expect, StoreError};

/// Most budgets of one hub.
pub const BUDGETS_MAX: usize = 1024;

/// Why a budget was not changed.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// There is none of this name.
    #[error("no budget {name}")]
    NotFound {
        /// The name.
        name: Name,
    },
    /// Somebody changed it since the caller looked.
    #[error("budget {name} has revision {found}, not {seen}")]
    Stale {
        /// The name.
        name: Name,
        /// What the caller saw.
        seen: u64,
        /// What is there; 0 for nothing.
        found: u64,
    },
    /// No node can keep to it.
    #[error(transparent)]
    Unfit(#[from] shared::budget::BudgetError),
    /// The target makes no sense.
    #[error("target: {why}")]
    BadTarget {
        /// Why.
        why: String,
    },
    /// There are [`BUDGETS_MAX`] already.
    #[error("more than {BUDGETS_MAX} budgets")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Faulty for BudgetError {
    fn fault(&self) -> Fault {
        match self {
            Self::NotFound { name } => Fault::new(&hub::BUDGET_NOT_FOUND).with("name", name),
            Self::Stale { name, seen, found } => {
                Fault::new(&hub::STALE).with("what", name).with("seen", seen).with("found", found)
            }
            Self::Unfit(error) => error.fault(),
            Self::BadTarget { why } => Fault::new(&hub::DEPLOYMENT_BAD_TARGET).with("why", why),
            Self::TooMany => Fault::new(&hub::TOO_MANY).with("what", "budgets").with("max", BUDGETS_MAX),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Refusal for BudgetError {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Stale { .. } => Kind::Stale,
            Self::Unfit(_) | Self::BadTarget { .. } | Self::TooMany => Kind::Unfit,
            Self::Store(error) => error.kind(),
        }
    }
}

impl Hub {
    /// Every budget with the revision of its record.
    pub async fn all_budgets(&self) -> Result<Vec<(Name, records::Budget, u64)>, StoreError> {
        self.all(BUDGETS).await
    }

    /// One budget with the revision of its record.
    pub async fn budget(&self, name: &Name) -> Result<(records::Budget, u64), BudgetError> {
        let found = self.record(&key(BUDGETS, name)).await?;
        found.ok_or_else(|| BudgetError::NotFound { name: name.clone() })
    }

    /// Makes or changes the budget `name`; `seen` is the revision of the record the caller looked at. The same again
    /// changes nothing. Returns the record and its revision.
    pub async fn set_budget(
        &self,
        name: &Name,
        budget: Budget,
        target: Target,
        seen: Option<u64>,
        by: &str,
    ) -> Result<(records::Budget, u64), BudgetError> {
        budget.check()?;
        if let Some(why) = target_problem(&target) {
            return Err(BudgetError::BadTarget { why });
        }
        let changing = self.changing.lock().await;
        let current = self.record::<records::Budget>(&key(BUDGETS, name)).await?;
        check_seen(name, seen, current.as_ref().map(|(_, revision)| *revision))?;
        let created = match current {
            Some((current, revision)) if (&current.budget, &current.target) == (&budget, &target) => {
                return Ok((current, revision));
            }
            Some((ref current, _)) => current.created,
            None if self.all_budgets().await?.len() >= BUDGETS_MAX => return Err(BudgetError::TooMany),
            None => self.now(),
        };
        let (hub, hub_revision) = self.own_record().await?;
        let revision = hub.revision.saturating_add(1);
        let record = records::Budget { budget, target, revision, created, updated: self.now() };
        let expect = current.map_or(Expect::Absent, |(_, revision)| Expect::Revision(revision));
        let changes = vec![
            Change { key: key(BUDGETS, name), expect, value: Some(record.encode()) },
            Change::replace(HUB, hub_revision, records::Hub { revision, ..hub }.encode()),
        ];
        let what = Fault::new(&hub::BUDGET_SET).with("budget", name).with("revision", revision).with("by", by);
        let revision = self.store.commit(changes, vec![self.event(None, None, by, what)]).await?;
        drop(changing);
        self.assign_now(Scope::All).await;
        Ok((record, revision))
    }

    /// Takes a budget away: its nodes fall under another one that covers them, or under none.
    pub async fn remove_budget(&self, name: &Name, seen: Option<u64>, by: &str) -> Result<(), BudgetError> {
        let changing = self.changing.lock().await;
        let (_, revision) = self.budget(name).await?;
        check_seen(name, seen, Some(revision))?;
        let what = Fault::new(&hub::BUDGET_REMOVED).with("budget", name).with("by", by);
        let change = Change::delete(key(BUDGETS, name), Expect::Revision(revision));
        self.store.commit(vec![change], vec![self.event(None, None, by, what)]).await?;
        drop(changing);
        self.assign_now(Scope::All).await;
        Ok(())
    }
}

/// `If-Match`: nothing was changed since the caller looked.
fn check_seen(name: &Name, seen: Option<u64>, found: Option<u64>) -> Result<(), BudgetError> {
    match seen {
        Some(seen) if Some(seen) != found => {
            Err(BudgetError::Stale { name: name.clone(), seen, found: found.unwrap_or_default() })
        }
        _ => Ok(()),
    }
}
