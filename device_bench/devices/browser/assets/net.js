// Requests to the computer that serves the page.

// The response to a GET, or to a POST if there is a body. Errors have the server's message.
export async function request(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : { method: "POST", body });
  } catch {
    throw new Error("the computer that serves this page does not respond; is lvt-bench still running?");
  }
  if (!response.ok) throw new Error(await response.text());
  return response;
}
