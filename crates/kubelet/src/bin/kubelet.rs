//! kubelet as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    let options: kubelet::Options = component_base::flags::parse("kubelet", std::env::args_os().skip(1));
    component_base::logs::init(options.common.v);
    component_base::panics::end_the_process();
    kubelet::privileges::drop_all_others();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("Error: {e}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        let stop = component_base::signals::stop_token();
        kubelet::run(options, stop).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("Error: {e}");
            ExitCode::FAILURE
        }
    }
}
