// Warm-up and order of the timed inferences, as in device_bench/measure/warmup.py and
// device_bench/measure/interleaved.py. A test compares the two implementations.

// Runs inferences until latency is stable, and returns their milliseconds. Units and order of
// operations are Python's, because Python repeats the rule and must end at the same inference.
export async function warmUp(infer, { window, tolerance, least_seconds, most_seconds }) {
  const milliseconds = [], seconds = [];
  for (let total = 0; ;) {
    milliseconds.push(await infer());
    seconds.push(milliseconds.at(-1) / 1e3);
    total += seconds.at(-1);
    if (seconds.length < 2 * window || total < least_seconds) continue;
    const earlier = median(seconds.slice(-2 * window, -window)), later = median(seconds.slice(-window));
    const settled = Math.abs(later - earlier) <= tolerance * earlier;
    if (settled || total >= most_seconds) return milliseconds;
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Times rounds of one inference per artifact, in alternating order, and returns the milliseconds
// of every artifact.
export async function timeInterleaved(infer, count, { runs, seconds }, report) {
  const indices = [...Array(count).keys()], samples = indices.map(() => []);
  const totals = indices.map(() => 0), minimum = seconds * 1e3;
  let lastReport = 0;
  for (let done = 0; done < runs || Math.min(...totals) < minimum; done++) {
    for (const index of done % 2 ? [...indices].reverse() : indices) {
      const elapsed = await infer(index);
      samples[index].push(elapsed);
      totals[index] += elapsed;
    }
    if (performance.now() - lastReport > 200) {
      lastReport = performance.now();
      const share = Math.min((done + 1) / runs, minimum ? Math.min(...totals) / minimum : 1, 1);
      report(`timing, ${done + 1} rounds`, share);
    }
  }
  return samples;
}
