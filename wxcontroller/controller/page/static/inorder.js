// Tells which answers are outdated: those that arrive after the answer to a later request.

// Return asked(), to call with each request; what it returns tells at the answer whether to take it.
export function inOrder() {
  let asked = 0;
  let taken = 0;
  return () => {
    const mine = ++asked;
    return () => {
      if (mine < taken) return false;
      taken = mine;
      return true;
    };
  };
}
