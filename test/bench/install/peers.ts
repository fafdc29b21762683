import { chmodSync, copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { until } from '../../support/world/wait.ts';

const serviceUpWithinMs = 10_000;

/** Another updater that installs the same image. */
export interface Peer {
  readonly name: string;
  /** Installs, syncs, and reads a digest back. */
  install(): Promise<void>;
  end(): Promise<void>;
}

async function syncAndReadBack(device: string, bytes: number): Promise<void> {
  await execa('sync', [device]);
  await execa('bash', ['-c', 'head --bytes "$2" "$1" | sha256sum', 'read-back', device, String(bytes)]);
}

/** A file of that size on disk, as a block device. */
async function loopDevice(file: string, bytes: number): Promise<string> {
  await execa('truncate', ['--size', String(bytes), file]);
  const { stdout } = await execa('losetup', ['--find', '--show', file]);
  return stdout.trim();
}

/** `zstd -dc | tee >(sha256sum) | dd conv=fsync`: what decompressing, hashing and writing cost at the least. */
export async function pipe(dir: string, image: string): Promise<Peer> {
  const packed = join(dir, 'image.zst');
  await execa('zstd', ['-q', '-f', '-3', image, '-o', packed]);
  const target = join(dir, 'pipe.img');
  const bytes = statSync(image).size;
  return {
    name: 'zstd -dc | tee >(sha256sum) | dd',
    install: async () => {
      const line = 'zstd -q -dc "$1" | tee >(sha256sum >/dev/null) | dd of="$2" bs=1M conv=fsync status=none';
      await execa('bash', ['-c', line, 'pipe', packed, target]);
      await execa('bash', ['-c', 'head --bytes "$2" "$1" | sha256sum', 'read-back', target, String(bytes)]);
    },
    end: async () => undefined,
  };
}

async function certificate(dir: string): Promise<{ key: string; cert: string }> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  await execa('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=bench'],
    ...['-keyout', key, '-out', cert],
  ]);
  return { key, cert };
}

export async function swupdate(dir: string, image: string): Promise<Peer> {
  const work = join(dir, 'swupdate');
  mkdirSync(work, { recursive: true });
  const bytes = statSync(image).size;
  const device = await loopDevice(join(work, 'slot.img'), bytes);
  await execa('zstd', ['-q', '-f', '-3', image, '-o', join(work, 'image.zst')]);
  const { stdout } = await execa('sha256sum', [join(work, 'image.zst')]);
  const description = `software = {
  version = "1.0.0";
  hardware-compatibility: [ "1.0" ];
  images: ({
    filename = "image.zst"; device = "${device}"; type = "raw"; compressed = "zstd";
    installed-directly = true; sha256 = "${stdout.split(' ')[0]}";
  });
};
`;
  writeFileSync(join(work, 'sw-description'), description);
  writeFileSync(join(work, 'hwrevision'), 'bench 1.0\n');
  copyFileSync(join(work, 'hwrevision'), '/etc/hwrevision');
  const bundle = join(work, 'image.swu');
  const { key, cert } = await certificate(work);
  // Debian's build takes signed images only.
  await execa('openssl', [
    ...['cms', '-sign', '-binary', '-nosmimecap', '-outform', 'DER', '-signer', cert, '-inkey', key],
    ...['-in', join(work, 'sw-description'), '-out', join(work, 'sw-description.sig')],
  ]);
  await execa('cpio', ['-o', '-H', 'crc', '-O', bundle, '--quiet'], {
    cwd: work,
    input: 'sw-description\nsw-description.sig\nimage.zst\n',
  });
  return {
    name: 'swupdate',
    install: async () => {
      await execa('swupdate', ['-k', cert, '-i', bundle], { env: { TMPDIR: work } });
      await syncAndReadBack(device, bytes);
    },
    end: async () => {
      await execa('losetup', ['--detach', device]);
    },
  };
}

const busPolicy = (socket: string) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${socket}</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
<allow send_type="method_call"/><allow send_type="signal"/></policy></busconfig>
`;

export async function rauc(dir: string, image: string): Promise<Peer> {
  const work = join(dir, 'rauc');
  const input = join(work, 'input');
  mkdirSync(input, { recursive: true });
  const bytes = statSync(image).size;
  const device = await loopDevice(join(work, 'slot.img'), bytes);
  const other = await loopDevice(join(work, 'other.img'), bytes);
  const { key, cert } = await certificate(work);
  copyFileSync(image, join(input, 'image.img'));
  writeFileSync(
    join(input, 'manifest.raucm'),
    '[update]\ncompatible=bench\nversion=1\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=image.img\n',
  );
  const bundle = join(work, 'image.raucb');
  const options = ['--cert', cert, '--key', key, '--mksquashfs-args=-comp zstd -Xcompression-level 3'];
  await execa('rauc', ['bundle', ...options, input, bundle]);
  const backend = join(work, 'backend.sh');
  // It answers what a boot loader would be asked, and switches nothing.
  writeFileSync(backend, '#!/bin/sh\ncase "$1" in get-primary) echo A;; get-state) echo good;; esac\n');
  chmodSync(backend, 0o755);
  const config = join(work, 'system.conf');
  writeFileSync(
    config,
    `[system]\ncompatible=bench\nbootloader=custom\nstatusfile=${work}/status\nmountprefix=${work}/mnt\n` +
      `[handlers]\nbootloader-custom-backend=${backend}\n[keyring]\npath=${cert}\n` +
      `[slot.rootfs.0]\ndevice=${other}\ntype=raw\nbootname=A\n[slot.rootfs.1]\ndevice=${device}\ntype=raw\nbootname=B\n`,
  );
  const socket = join(work, 'bus');
  const busConfig = join(work, 'bus.conf');
  writeFileSync(busConfig, busPolicy(socket));
  const env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket}`, DBUS_STARTER_BUS_TYPE: 'system' };
  const service = (file: string, ...args: string[]) => execa(file, args, { stdio: 'ignore', env, reject: false });
  const children = [service('dbus-daemon', '--nofork', `--config-file=${busConfig}`)];
  await until('the bus is there', serviceUpWithinMs, () => (existsSync(socket) ? true : null));
  children.push(service('rauc', '--conf', config, '--override-boot-slot=A', 'service'));
  const ping = ['--system', '--print-reply', '--dest=de.pengutronix.rauc', '/', 'org.freedesktop.DBus.Peer.Ping'];
  await until('rauc answers on the bus', serviceUpWithinMs, async () => {
    const answer = await execa('dbus-send', ping, { env, reject: false });
    return answer.exitCode === 0 ? true : null;
  });
  return {
    name: 'rauc',
    install: async () => {
      await execa('rauc', ['install', bundle], { env });
      await syncAndReadBack(device, bytes);
    },
    end: async () => {
      for (const child of children.reverse()) child.kill('SIGTERM');
      for (const one of [device, other]) await execa('losetup', ['--detach', one]);
    },
  };
}
