// Files from a drop, a choice or a folder: which of them are photographs, and which are not.

const ENDINGS = /\.(jpe?g|png|tiff?|webp|bmp|gif)$/i;
const TYPES = /^image\/(jpeg|png|tiff|webp|bmp|gif|x-ms-bmp)$/;
const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/i;
const order = new Intl.Collator(undefined, { numeric: true });

/** {photographs: [{file, path}], others: [names]}; hidden files are in neither. */
export function sorted(found) {
  const seen = found.filter(({ path }) => !HIDDEN.test(path));
  const isPhoto = ({ file }) => ENDINGS.test(file.name) || TYPES.test(file.type);
  return {
    photographs: seen.filter(isPhoto).sort((one, two) => order.compare(one.path, two.path)),
    others: seen.filter((each) => !isPhoto(each)).map(({ file }) => file.name),
    hidden: found.length - seen.length,
  };
}

export function fromInput(input) {
  const found = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
  input.value = ""; // choosing the same again is a change again
  return found;
}

/** The entries must be taken at once: after the event the transfer is empty. */
export async function fromDrop(transfer) {
  const entries = [...transfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = await Promise.all(entries.filter(Boolean).map(walk));
  return found.flat();
}

async function walk(entry) {
  if (entry instanceof File) return [{ file: entry, path: entry.name }];
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    return file ? [{ file, path: entry.fullPath.slice(1) }] : [];
  }
  const found = [];
  const reader = entry.createReader();
  for (;;) {
    // A reader gives a hundred or so at a time, and nothing once it has given all.
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return found;
    for (const each of some) found.push(...(await walk(each)));
  }
}

/** Listen for drops anywhere on the page: a missed one would leave it. */
export function onDrop(area, taken) {
  let depth = 0;
  const mark = (change) => {
    depth = change;
    area.classList.toggle("over", depth > 0);
  };
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => files(event) && mark(depth + 1));
  addEventListener("dragleave", (event) => files(event) && mark(Math.max(0, depth - 1)));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!files(event)) return;
    event.preventDefault();
    mark(0);
    taken(await fromDrop(event.dataTransfer));
  });
}
