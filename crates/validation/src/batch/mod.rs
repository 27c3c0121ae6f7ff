//! The group batch: jobs and cron jobs.

mod cron;
pub(crate) mod cron_job;
pub(crate) mod job;
mod job_policy;
pub(crate) mod job_status;
