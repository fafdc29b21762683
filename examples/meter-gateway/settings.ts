import { defineSetting } from 'holdfast/agent';
import { z } from 'zod';

export const meterHost = defineSetting({
  name: 'meterHost',
  shape: z.string().min(1).max(200),
  standard: '127.0.0.1',
  text: 'Name or address of the meter.',
});

export const meterPort = defineSetting({
  name: 'meterPort',
  shape: z.int().min(1).max(65_535),
  standard: 5020,
  text: 'TCP port of the meter.',
});

export const collectorUrl = defineSetting({
  name: 'collectorUrl',
  shape: z.string().max(500),
  standard: '',
  text: 'Where readings are sent, as http:// or https://; empty: they stay on the appliance.',
});

export const limitKw = defineSetting({
  name: 'limitKw',
  shape: z.number().min(0.1).max(10_000),
  standard: 50,
  text: 'Power in kW above which there is an alarm.',
});
