// The time until the next QR code, as a shrinking bar and in words.

// show(key, seconds): the key identifies a code; seconds are null if its end is unknown.
export function countdown(bar, words, inWords) {
  let shown = null;
  let end = 0;
  let whole = 1;

  function draw() {
    const left = Math.max(0, end - performance.now());
    bar.style.width = `${Math.min(100, (left / whole) * 100)}%`;
    const text = inWords(Math.ceil(left / 1000));
    if (words.textContent !== text) words.textContent = text;
  }

  const timer = setInterval(() => shown !== null && draw(), 500);

  function show(key, seconds) {
    const known = key !== null && seconds !== null;
    bar.parentElement.hidden = words.hidden = !known;
    if (known && key !== shown) {
      end = performance.now() + seconds * 1000;
      whole = Math.max(1000, seconds * 1000);
    }
    shown = known ? key : null;
    if (known) draw();
  }

  show(null, null);
  return { show, end: () => clearInterval(timer) };
}
