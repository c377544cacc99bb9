// node-pty, driven as its documentation does: prints seconds and seconds of CPU of one flood, the
// median of many echoes in seconds, or of many starts. See terminal_rivals.py.
const pty = require("node-pty");
const [what, command] = [process.argv[2], JSON.parse(process.argv[3])];
const [file, ...args] = command;
const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1];

function flood() {
  const child = pty.spawn(file, args, { encoding: null });
  let began, cpu;
  child.onData((data) => {
    if (began || !data.includes("ready")) return;
    [began, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
    child.write("\n");
  });
  child.onExit(() => {
    const used = process.cpuUsage(cpu);
    console.log(seconds(began), (used.user + used.system) / 1e6);
  });
}

function echo(times) {
  const child = pty.spawn(file, args, {});
  const took = [];
  let began;
  child.onData((data) => {
    if (began) took.push(seconds(began));
    if (took.length === times) {
      console.log(median(took));
      child.kill("SIGKILL");
      return;
    }
    if (!began && !data.includes("ready")) return;
    began = process.hrtime.bigint();
    child.write("x");
  });
}

function spawn(times) {
  const took = [];
  for (let number = 0; number < times; number++) {
    const began = process.hrtime.bigint();
    pty.spawn(file, args, {});
    took.push(seconds(began));
  }
  console.log(median(took));
}

({ flood, echo, spawn })[what](Number(process.argv[4]));
