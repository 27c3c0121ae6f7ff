//! kube-scheduler on its own. The server image's binary contains it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    let options: scheduler::Options =
        component_base::flags::parse("kube-scheduler", std::env::args_os().skip(1));
    component_base::logs::init(options.common.v);
    component_base::panics::end_the_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => {
            tracing::error!("cannot start: {err}");
            return ExitCode::FAILURE;
        }
    };
    let result =
        runtime.block_on(async { scheduler::run(options, component_base::signals::stop_token()).await });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err}");
            ExitCode::FAILURE
        }
    }
}
