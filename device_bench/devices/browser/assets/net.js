// Requests to the computer that serves the page.

// A reply to a GET, or to a POST where there is a body; failures carry the server's own words.
export async function reply(path, body) {
  let answer;
  try {
    answer = await fetch(path, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new Error("the computer that serves this page does not answer; is lvt-bench still running?");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}
