// How long to warm up and in which order to time, as device_bench/measure/warmup.py and timing.py have it;
// a test holds the two languages together.

// Milliseconds of inferences until they are stable. In Python's units and order of operations: it
// goes over them again and must end where this ends, to the last bit.
export async function warmUp(infer, { window, tolerance, least_seconds, most_seconds }) {
  const series = [], seconds = [];
  for (let total = 0; ;) {
    series.push(await infer());
    seconds.push(series.at(-1) / 1e3);
    total += seconds.at(-1);
    if (seconds.length < 2 * window || total < least_seconds) continue;
    const before = median(seconds.slice(-2 * window, -window)), now = median(seconds.slice(-window));
    if (Math.abs(now - before) <= tolerance * before || total >= most_seconds) return series;
  }
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// Milliseconds of every artifact, from rounds of one inference each, forwards and backwards in turn.
export async function inTurn(infer, count, { runs, seconds }, tell) {
  const indices = [...Array(count).keys()], series = indices.map(() => []);
  const totals = indices.map(() => 0), least = seconds * 1e3;
  let told = 0;
  for (let done = 0; done < runs || Math.min(...totals) < least; done++) {
    for (const index of done % 2 ? [...indices].reverse() : indices) {
      const elapsed = await infer(index);
      series[index].push(elapsed);
      totals[index] += elapsed;
    }
    if (performance.now() - told > 200) {
      told = performance.now();
      const share = Math.min((done + 1) / runs, least ? Math.min(...totals) / least : 1, 1);
      tell(`timing, ${done + 1} rounds`, share);
    }
  }
  return series;
}
