// The studio's API; every failure is an ApiError with a code that the texts know.

const ROOT = "/api/v1";
const LONGEST_NAME = 1000;
// The gateway's own, while the studio behind it starts or is busy.
const PASSING = new Set([429, 502, 503, 504]);

export class ApiError extends Error {
  /** transient: the same request may do later. */
  constructor(code, message = "", transient = false) {
    super(message);
    Object.assign(this, { code, transient });
  }
}

const lost = () => new ApiError("connection_lost", "", true);

function refused(status, text, address) {
  if (status === 401 || new URL(address || "/", location.href).pathname === "/login") {
    return new ApiError("session_over");
  }
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {} // not the studio's words
  if (PASSING.has(status)) return new ApiError("connection_lost", error.message ?? "", true);
  return new ApiError(error.code ?? `http_${status}`, error.message ?? `HTTP ${status}`);
}

/** The answer's JSON; null where there is none. */
export async function ask(method, path, body) {
  let answer;
  let text;
  try {
    answer = await fetch(ROOT + path, {
      method,
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      cache: "no-store",
      redirect: "manual",
    });
    text = await answer.text();
  } catch {
    throw lost();
  }
  if (answer.type === "opaqueredirect") throw new ApiError("session_over");
  if (!answer.ok) throw refused(answer.status, text, answer.url);
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw lost(); // cut off, or another page in between
  }
}

/**
 * Send one file as `path`, which has the folders that it was found in; told(0 to 1) as it goes.
 * fetch cannot say how far it is.
 */
export function upload(file, path, signal, told) {
  const name = path.length > LONGEST_NAME ? file.name : path;
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.addEventListener("progress", ({ loaded, total }) => told(total ? loaded / total : 0));
    request.addEventListener("error", () => reject(lost()));
    request.addEventListener("abort", () => reject(new ApiError("stopped")));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    request.addEventListener("load", () => {
      const { status, responseText, responseURL } = request;
      try {
        if (status === 201) resolve(JSON.parse(responseText));
        else reject(refused(status, responseText, responseURL));
      } catch {
        reject(lost());
      }
    });
    request.open("POST", `${ROOT}/photos?name=${encodeURIComponent(name)}`);
    request.send(file);
  });
}

export const pictureOf = (photo, which) => `${ROOT}/photos/${photo.id}/${which}`;
export const zipOf = (job) => `${ROOT}/jobs/${job.id}/results.zip`;
