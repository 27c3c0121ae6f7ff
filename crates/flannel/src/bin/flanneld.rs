//! flanneld on its own. The node image's binary contains it too.

use std::process::ExitCode;

use flannel::Options;

fn main() -> ExitCode {
    let options = Options::parse_or_exit(std::env::args_os().skip(1));
    component_base::logs::init(options.common.v);
    component_base::panics::end_the_process();
    // One thread is plenty, and each further one costs memory.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => {
            tracing::error!("cannot start: {err}");
            return ExitCode::FAILURE;
        }
    };
    let result =
        runtime.block_on(async { flannel::run(options, component_base::signals::stop_token()).await });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            tracing::error!("{err}");
            ExitCode::FAILURE
        }
    }
}
