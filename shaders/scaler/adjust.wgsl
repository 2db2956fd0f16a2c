// Dynamic loss scaling, at the end of an update: writes the update's scale to the report, then computes the scale of the next
// one.
//
//   a skipped update halves the scale, 2000 others in a row double it        torch.amp.GradScaler
//
// Unlike there, the scale does not fall below 1, at which gradients are not scaled. One invocation.
#import report
#import scaler

const INTERVAL = 2000u;
const LARGEST = 126u; // the scale and its inverse are normal numbers

@group(0) @binding(0) var<storage, read_write> report: Report;
@group(0) @binding(1) var<storage, read_write> scaler: Scaler;

@compute @workgroup_size(1)
fn main() {
    report.scale = scale();
    let good = select(0u, scaler.good + 1u, report.skip == 0u);
    if report.skip != 0u {
        scaler.exponent = max(scaler.exponent, 1u) - 1u;
    } else if good == INTERVAL {
        scaler.exponent = min(scaler.exponent + 1u, LARGEST);
    }
    scaler.good = good % INTERVAL;
}
