// What @alicloud/ros-cdk-ecs says of a template's resources. argv[2]: a JSON file {name: {Type, Properties}}.
// Says {name: {rendered, errors, attributes}}: the properties as the package writes them, which are
// those that it knows, what its validators find, and what can be asked of the resource.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const ros = require("@alicloud/ros-cdk-core");
const ecs = require("@alicloud/ros-cdk-ecs");

// The package takes names of its own making (AllocatePublicIP is allocatePublicIp), and keeps the
// tables from one to the other to itself.
const source = readFileSync(require.resolve("@alicloud/ros-cdk-ecs/lib/ecs.generated.js"), "utf-8");
const tables = new Map();
for (const [, name, body] of source.matchAll(/^function (ros\w+ToRosTemplate)\(.*?\{\n(.*?)^\}/gms)) {
  tables.set(name, [...body.matchAll(/^ +'(\w+)': (.+)\(properties\.(\w+)\),$/gm)]);
}

const renamed = (value, table) => {
  const isFunction = value !== null && typeof value === "object" && !Array.isArray(value)
    && Object.keys(value).length === 1 && /^(Ref|Fn::\w+)$/.test(Object.keys(value)[0]);
  if (isFunction || value === null || typeof value !== "object" || !tables.has(table)) return value;
  if (Array.isArray(value)) return value.map((item) => renamed(item, table));
  const found = {};
  for (const [, official, mapper, own] of tables.get(table)) {
    const below = /ros[A-Z]\w*PropertyToRosTemplate/.exec(mapper);
    if (official in value) found[own] = renamed(value[official], below?.[0]);
  }
  return found;
};

const said = {};
const stack = new ros.Stack(new ros.App({ outdir: process.argv[3] }), "stack");
for (const [name, { Type, Properties }] of Object.entries(JSON.parse(readFileSync(process.argv[2], "utf-8")))) {
  const kind = Object.values(ecs).find((each) => each?.ROS_RESOURCE_TYPE_NAME === Type);
  said[name] = { rendered: null, errors: kind ? [] : [`${Type} is not known`], attributes: [] };
  if (!kind) continue;
  try {
    const made = new kind(stack, name, renamed(Properties, `ros${kind.name.slice(3)}PropsToRosTemplate`), true);
    said[name].attributes = Object.keys(made).filter((key) => key.startsWith("attr")).map((key) => key.slice(4));
    said[name].rendered = stack.resolve(made._toRosTemplate()).Resources[name].Properties;
  } catch (error) {
    said[name].errors.push(error.message);
  }
}
process.stdout.write(JSON.stringify(said) + "\n");
