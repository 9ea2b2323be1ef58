//! How full agreements are, for `tandem status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account has used of one agreement and service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgreementStatus {
    /// The agreement.
    pub agreement: String,
    /// The account; empty where it is a group's.
    pub account: String,
    /// The service; empty where nobody has used anything of it.
    pub service: String,
    /// The rate, where it has one.
    pub rate: Option<RateStatus>,
    /// The quotas that it has, the shortest first.
    pub quotas: Vec<QuotaStatus>,
    /// Exchanges that are held, and how many there may be.
    pub concurrent: (u64, Option<u64>),
    /// Sessions, and how many there may be.
    pub sessions: (u64, Option<u64>),
    /// How often something was refused since the start.
    pub refused: u64,
}

/// How much of a rate's burst is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateStatus {
    /// So many …
    pub of: u64,
    /// … in so many nanoseconds …
    pub per: u64,
    /// … and at once.
    pub burst: u64,
    /// How many there may be now.
    pub left: u64,
}

/// How much of a quota is used. What a worker has taken in advance is among it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaStatus {
    /// `minute`, `hour`, `day` or `month`.
    pub period: String,
    /// How much.
    pub used: u64,
    /// Of how much.
    pub of: u64,
    /// Until when, in nanoseconds since 1970.
    pub until: u64,
}

impl AgreementStatus {
    /// How full it is where it is fullest, in thousandths.
    pub fn fullness(&self) -> u64 {
        let part = |used: u64, of: u64| used.saturating_mul(1000).checked_div(of).unwrap_or(1000);
        let at_a_time = [self.concurrent, self.sessions].map(|(now, of)| of.map_or(0, |of| part(now, of)));
        let quotas = self.quotas.iter().map(|quota| part(quota.used, quota.of));
        let rate = self.rate.map(|rate| part(rate.burst.saturating_sub(rate.left), rate.burst));
        quotas.chain(rate).chain(at_a_time).max().unwrap_or(0)
    }

    /// `gold acme door  day 120 of 1000 · rate 30 of 200 left`
    pub fn line(&self) -> String {
        let AgreementStatus { agreement, account, service, rate, quotas, concurrent, sessions, refused } = self;
        let (account, service) = match (account.as_str(), service.as_str()) {
            (_, "") => ("-", "-"),
            ("", service) => ("(group)", service),
            both => both,
        };
        let rate = rate.map(|rate| format!("rate {} of {} left", rate.left, rate.burst));
        let quotas = quotas.iter().map(|quota| format!("{} {} of {}", quota.period, quota.used, quota.of));
        let now = |what: &str, (now, of): (u64, Option<u64>)| of.map(|of| format!("{what} {now} of {of}"));
        let at_a_time = [now("concurrent", *concurrent), now("sessions", *sessions)].into_iter().flatten();
        let refused = (*refused > 0).then(|| format!("{refused} refused"));
        let all: Vec<String> = rate.into_iter().chain(quotas).chain(at_a_time).chain(refused).collect();
        format!("{agreement:<16} {account:<16} {service:<16} {}", all.join(" · ")).trim_end().to_owned()
    }
}
