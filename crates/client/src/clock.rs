//! The time of day, moved along with tokio's clock.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};

/// Now. Under tokio's paused clock the difference to real time that `advance` and auto-advance made is added, so that
/// simulated hours show in timestamps too. Otherwise this is the system's clock.
pub fn now() -> Timestamp {
    let real = Timestamp::now();
    let (tokio, std) = (tokio::time::Instant::now().into_std(), std::time::Instant::now());
    let ahead = tokio.saturating_duration_since(std);
    let behind = std.saturating_duration_since(tokio);
    // The two reads are some nanoseconds apart; only a paused clock is milliseconds off.
    if ahead.as_millis() < 2 && behind.as_millis() < 2 {
        return real;
    }
    let skew = SignedDuration::try_from(ahead).unwrap_or_default()
        - SignedDuration::try_from(behind).unwrap_or_default();
    real.checked_add(skew).unwrap_or(real)
}

/// [`now`] in whole seconds, as `metav1.Time` carries it.
pub fn time() -> Time {
    let now = now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// [`now`] in microseconds, as `metav1.MicroTime` carries it.
pub fn micro_time() -> MicroTime {
    let now = now();
    MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
}

/// How long ago `then` was; zero when it lies ahead.
pub fn since(then: &Time) -> std::time::Duration {
    std::time::Duration::try_from(now().duration_since(then.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_tokios_clock() {
        let before = now();
        tokio::time::advance(std::time::Duration::from_secs(3600)).await;
        let hour = now().duration_since(before).as_secs();
        assert!((3599..=3601).contains(&hour), "{hour}");
    }
}
