//! kube-apiserver alone, for trying things out. The product ships it inside the server binary.

use std::process::ExitCode;

use apiserver::Options;

#[global_allocator]
static ALLOCATOR: apiserver::Allocator = apiserver::Allocator;

#[tokio::main]
async fn main() -> ExitCode {
    let options: Options = component_base::flags::parse("kube-apiserver", std::env::args_os().skip(1));
    component_base::logs::init(options.v);
    component_base::panics::end_the_process();
    let stop = component_base::signals::stop_token();
    match apiserver::run(options, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
