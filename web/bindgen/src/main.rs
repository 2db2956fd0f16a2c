//! `bindgen IN.wasm OUT_DIR`: what `wasm-bindgen --target web --no-typescript` does, without the web server and client of that program.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, input, output] = args.as_slice() else { return Err("bindgen IN.wasm OUT_DIR".into()) };
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_path(input).web(true)?.omit_default_module_path(false).typescript(false).generate(output)?;
    Ok(())
}
