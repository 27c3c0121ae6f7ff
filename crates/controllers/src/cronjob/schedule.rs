//! Cron schedules (upstream uses `robfig/cron` with the standard five fields).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

/// A parsed schedule.
#[derive(Debug)]
pub(super) struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// A day fits when both fields fit; if both are restricted, when one of them does.
    either_day: bool,
    /// `@every`: a fixed distance instead of a calendar.
    every: Option<Span>,
    zone: TimeZone,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads five fields or one of the `@` words; `zone` is a name of the tz database, UTC when absent.
    pub(super) fn parse(text: &str, zone: Option<&str>) -> Result<Self, String> {
        let zone = match zone {
            Some(name) => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
            None => TimeZone::UTC,
        };
        let text = text.trim();
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(duration) = text.strip_prefix("@every ") {
            let duration = component_base::flags::duration(duration.trim())?;
            let seconds = i64::try_from(duration.as_secs().max(1)).unwrap_or(i64::MAX);
            let every = Span::new().try_seconds(seconds).map_err(|err| err.to_string())?;
            let all = u64::MAX;
            return Ok(Self {
                minutes: all,
                hours: all,
                days: all,
                months: all,
                weekdays: all,
                either_day: false,
                every: Some(every),
                zone,
            });
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let star = |field: &str| field.starts_with('*') || field.starts_with('?');
        let mut weekdays = field(weekday, 0, 7, &WEEKDAYS, 0)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1;
        }
        Ok(Self {
            minutes: field(minute, 0, 59, &[], 0)?,
            hours: field(hour, 0, 23, &[], 0)?,
            days: field(day, 1, 31, &[], 0)?,
            months: field(month, 1, 12, &MONTHS, 1)?,
            weekdays,
            either_day: !star(day) && !star(weekday),
            every: None,
            zone,
        })
    }

    /// The first time after `after`; `None` when there is none within some years.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if let Some(every) = self.every {
            return after.checked_add(every).ok();
        }
        let local = self.zone.to_datetime(after);
        let mut at =
            local.with().second(0).subsec_nanosecond(0).build().ok()?.checked_add(1.minute()).ok()?;
        let limit = local.year().checked_add(5)?;
        while at.year() <= limit {
            if !fits(self.months, at.month()) {
                at = at.with().day(1).hour(0).minute(0).build().ok()?.checked_add(1.month()).ok()?;
            } else if !self.day_fits(at) {
                at = at.with().hour(0).minute(0).build().ok()?.checked_add(1.day()).ok()?;
            } else if !fits(self.hours, at.hour()) {
                at = at.with().minute(0).build().ok()?.checked_add(1.hour()).ok()?;
            } else if !fits(self.minutes, at.minute()) {
                at = at.checked_add(1.minute()).ok()?;
            } else {
                let time = self.zone.to_timestamp(at).ok()?;
                // When clocks are set back an hour comes twice.
                if time > after {
                    return Some(time);
                }
                at = at.checked_add(1.minute()).ok()?;
            }
        }
        None
    }

    fn day_fits(&self, at: DateTime) -> bool {
        let day = fits(self.days, at.day());
        let weekday = fits(self.weekdays, at.weekday().to_sunday_zero_offset());
        if self.either_day { day || weekday } else { day && weekday }
    }

    /// The last time in `(from, to]`, and how many there are (counting stops a little above a hundred).
    pub(super) fn latest(&self, from: Timestamp, to: Timestamp) -> (Option<Timestamp>, usize) {
        let (mut found, mut count, mut at) = (None, 0, from);
        while let Some(next) = self.next(at).filter(|next| *next <= to) {
            found = Some(next);
            count += 1;
            at = next;
            if count > 110 {
                // Far behind: leap to the present instead of walking through all of it.
                let near = to.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(at);
                let resumed = self.next(near).filter(|next| *next <= to);
                match resumed {
                    Some(next) if next > at => at = near,
                    _ if count > 100_000 => break,
                    _ => {}
                }
            }
        }
        (found, count)
    }
}

fn fits(bits: u64, value: i8) -> bool {
    bits & (1 << value) != 0
}

/// `*`, `*/5`, `1-5`, `1-30/2`, `mon,wed` as bits.
fn field(text: &str, min: u32, max: u32, names: &[&str], first: u32) -> Result<u64, String> {
    let mut bits = 0_u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step: u32 = step.parse().map_err(|_| format!("failed to parse int from {step}"))?;
                (range, Some(step))
            }
            None => (part, None),
        };
        let value = |text: &str| -> Result<u32, String> {
            let lower = text.to_ascii_lowercase();
            if let Some(at) = names.iter().position(|name| *name == lower) {
                return Ok(first + at as u32);
            }
            text.parse().map_err(|_| format!("failed to parse int from {text}"))
        };
        let (from, to) = match range {
            "*" | "?" => (min, max),
            _ => match range.split_once('-') {
                Some((from, to)) => (value(from)?, value(to)?),
                None if step.is_some() => (value(range)?, max),
                None => (value(range)?, value(range)?),
            },
        };
        if from < min {
            return Err(format!("beginning of range ({from}) below minimum ({min}): {part}"));
        }
        if to > max {
            return Err(format!("end of range ({to}) above maximum ({max}): {part}"));
        }
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to}): {part}"));
        }
        let step = step.unwrap_or(1);
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        for at in (from..=to).step_by(step as usize) {
            bits |= 1 << at;
        }
    }
    Ok(bits)
}

/// A time with the offset of the zone, as annotations carry it.
pub(super) fn rfc3339(time: Timestamp, zone: Option<&str>) -> String {
    match zone.and_then(|name| TimeZone::get(name).ok()) {
        Some(zone) => time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        None => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: Option<&str>, after: &str) -> String {
        Schedule::parse(schedule, zone).unwrap().next(after.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn times() {
        let after = "2026-11-28T13:05:30Z";
        assert_eq!(next("*/5 * * * *", None, after), "2026-11-28T13:10:00Z");
        assert_eq!(next("0 0 1 1 *", None, after), "2027-01-01T00:00:00Z");
        assert_eq!(next("@daily", None, after), "2026-11-29T00:00:00Z");
        assert_eq!(next("30 9 * * mon-fri", None, after), "2026-11-30T09:30:00Z");
        assert_eq!(next("0 12 29 2 *", None, after), "2028-02-29T12:00:00Z");
        assert_eq!(next("0 0 13 * 5", None, after), "2026-12-04T00:00:00Z", "either day");
        assert_eq!(next("0 9 * * *", Some("Europe/Berlin"), after), "2026-11-29T08:00:00Z");
        assert_eq!(next("@every 90s", None, after), "2026-11-28T13:07:00Z");
    }

    #[test]
    fn missed_times_are_counted_and_the_last_is_found() {
        let schedule = Schedule::parse("* * * * *", None).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (latest, count) = schedule.latest(at("2026-01-01T00:00:30Z"), at("2026-01-01T00:03:10Z"));
        assert_eq!((latest, count), (Some(at("2026-01-01T00:03:00Z")), 3));
        let (latest, count) = schedule.latest(at("2025-01-01T00:00:00Z"), at("2026-01-01T00:03:10Z"));
        assert_eq!(latest, Some(at("2026-01-01T00:03:00Z")));
        assert!(count > 100);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "x * * * *", "* * * * 8"]
        {
            assert!(Schedule::parse(text, None).is_err(), "{text}");
        }
        assert!(Schedule::parse("* * * * *", Some("Nowhere/None")).is_err());
    }
}
