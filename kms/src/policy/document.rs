//! A policy as it is evaluated.

use std::sync::Arc;

use super::condition::Condition;
use super::context::RequestContext;
use super::facts::Facts;
use super::pattern::{ArnPattern, Pattern};
use super::principal::{PrincipalName, Principals};

/// A policy, read and found valid. Cheap to clone.
///
/// Made by [`key_policy`](Self::key_policy), [`identity_policy`](Self::identity_policy) and
/// [`trust_policy`](Self::trust_policy).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy(Arc<[Statement]>);

/// One statement of a policy.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<Box<str>>,
    pub(super) effect: Effect,
    /// None in identity policies: it is about whoever has the policy.
    pub(super) principals: Option<Principals>,
    pub(super) actions: Set<Pattern>,
    /// None in trust policies: it is about the role that has the policy.
    pub(super) resources: Option<Set<ArnPattern>>,
    pub(super) conditions: Box<[Condition]>,
}

/// What an element of a statement selects.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Set<P> {
    /// What matches one of these: `Action`, `Resource`.
    Only(Box<[P]>),
    /// What matches none of these: `NotAction`, `NotResource`.
    AllBut(Box<[P]>),
}

impl<P> Set<P> {
    fn contains(&self, matches: impl Fn(&P) -> bool) -> bool {
        match self {
            Self::Only(patterns) => patterns.iter().any(matches),
            Self::AllBut(patterns) => !patterns.iter().any(matches),
        }
    }
}

/// What a statement does to the requests it applies to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It allows them, unless another one denies them.
    Allow,
    /// It denies them.
    Deny,
}

/// To whom a statement allows something.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reach {
    /// To the caller's account as a whole, whose identity policies decide further.
    Account,
    /// To the caller, by its own name, that of its role, or as everybody.
    Principal,
}

/// The statement that decides what a policy says of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Match<'p> {
    /// What it says.
    pub effect: Effect,
    /// To whom.
    pub reach: Reach,
    /// Which it is.
    pub statement: StatementRef<'p>,
}

/// Which statement of a policy: its place, counted from 0, and its `Sid` if it has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatementRef<'p> {
    /// The place.
    pub index: usize,
    /// The `Sid`.
    pub sid: Option<&'p str>,
}

impl Policy {
    /// The policy of these statements.
    pub(super) fn new(statements: Vec<Statement>) -> Self {
        Self(statements.into())
    }

    /// What it says of a request: `None` if it does not say anything.
    ///
    /// The first statement that denies counts; if there is none, the first that allows it to the
    /// caller directly; if there is none, the first that allows it to the caller's account.
    pub fn evaluate(&self, request: &dyn RequestContext) -> Option<Match<'_>> {
        self.evaluate_on(&Facts::new(request))
    }

    /// The same of a request that other policies may have asked about.
    pub(super) fn evaluate_on(&self, facts: &Facts<'_>) -> Option<Match<'_>> {
        let mut allowed: Option<Match<'_>> = None;
        for (index, statement) in self.0.iter().enumerate() {
            let Some(reach) = statement.applies(facts) else {
                continue;
            };
            let found = Match {
                effect: statement.effect,
                reach,
                statement: StatementRef {
                    index,
                    sid: statement.sid.as_deref(),
                },
            };
            if found.effect == Effect::Deny {
                return Some(found);
            }
            if allowed.is_none_or(|best| best.reach < reach) {
                allowed = Some(found);
            }
        }
        allowed
    }

    /// The users and roles that it names as principals. AWS refuses names of such as do not exist.
    pub fn principal_names(&self) -> impl Iterator<Item = PrincipalName<'_>> {
        self.0
            .iter()
            .filter_map(|statement| statement.principals.as_ref())
            .flat_map(Principals::names)
    }
}

impl Statement {
    /// Whether it is about a request, and whom it reaches. What costs least is looked at first.
    fn applies(&self, facts: &Facts<'_>) -> Option<Reach> {
        let reach = match &self.principals {
            Some(principals) => principals.reach(&facts.caller())?,
            None => Reach::Principal,
        };
        let about_action = || self.actions.contains(|pattern| facts.action_is(pattern));
        let about_resource = || {
            let resources = self.resources.as_ref();
            resources.is_none_or(|all| all.contains(|pattern| facts.resource_is(pattern)))
        };
        let applies = about_action()
            && about_resource()
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(facts));
        applies.then_some(reach)
    }
}
