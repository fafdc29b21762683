import { type Command, InvalidArgumentError } from 'commander';
import { ageText, times } from '../fleet/words.ts';
import { type OrderView, orderListShape, orderViewShape } from '../operator/shapes.ts';
import type { Desk } from './program.ts';
import { list, table } from './table.ts';

/** Characters of an order's id that tell it from the others. */
const idShown = 8;

type Args = Readonly<Record<string, string>>;

function collectArg(text: string, before: Args): Args {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('as name=value');
  return { ...before, [name]: value };
}

export function addOrderCommands(program: Command, desk: Desk): void {
  const orders = program.command('orders').description('Orders for single appliances');
  orders
    .command('list', { isDefault: true })
    .description('The latest orders, and how they stand')
    .option('--appliance <appliance>', 'of one appliance: name or id')
    .action(async ({ appliance }: { appliance?: string }) => {
      const query = appliance === undefined ? '' : `?appliance=${encodeURIComponent(appliance)}`;
      const answer = await desk.api().get(`/api/orders${query}`, orderListShape);
      desk.show(answer.orders, ordersText);
    });
  orders
    .command('send')
    .description('Send an order')
    .argument('<appliance>', 'name or id, in any form')
    .argument('<kind>', 'check-in, run-checks, collect-logs, identify, network-test, diagnostic or update_iso')
    .option('--arg <name=value>', 'an argument; may be repeated', collectArg, {})
    .action(async (appliance: string, kind: string, { arg }: { arg: Args }) => {
      const order = await desk.api().post('/api/orders', { appliance, kind, args: arg }, orderViewShape);
      desk.show(order, () => `Order ${order.id} (${order.kind}) is queued for ${order.name}.`);
    });
  orders
    .command('show')
    .description('One order, with everything that came back')
    .argument('<id>', 'id of the order, or its beginning as `orders list` prints it')
    .action(async (id: string) => {
      const order = await desk.api().get(`/api/orders/${encodeURIComponent(id)}`, orderViewShape);
      desk.show(order, orderText);
    });
}

function ordersText(orders: readonly OrderView[]): string {
  if (orders.length === 0) return 'No order was sent. Next: holdfast orders send APPLIANCE KIND';
  const rows = orders.map((one) => [
    one.id.slice(0, idShown),
    one.name,
    one.kind,
    `${ageText(one.ageS * 1000)} ago`,
    one.sentence,
  ]);
  return table(['ID', 'APPLIANCE', 'KIND', 'AGE', 'STATUS'], rows);
}

function orderText(order: OrderView): string {
  const args = Object.entries(order.args).map(([name, value]) => `${name}=${value}`);
  return list([
    ['order', order.id],
    ['appliance', `${order.name} (${order.appliance})`],
    ['kind', [order.kind, ...args].join(' ')],
    ['status', order.sentence],
    ['age', `${ageText(order.ageS * 1000)}, sent ${times(order.deliveries)}`],
    ['expires', new Date(order.expiresAtMs).toISOString()],
    ['crash', order.crashText || 'none'],
    ['result', order.result ?? 'none'],
  ]);
}
