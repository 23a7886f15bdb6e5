//! The device, as a virtual machine monitor drives it over vhost-user.

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{VhostUserBackend, VringRwLock, VringT};
use virtio_queue::QueueT;
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::packet::{HEADER_BYTES, Header};
use crate::switch::Switch;

/// The queues: to the guest, from the guest, and one for events that never happen here.
const TO_GUEST: usize = 0;
const FROM_GUEST: usize = 1;
const QUEUES: usize = 3;

/// The event of the switch's bell, beside those of the queues.
pub const BELL: u16 = QUEUES as u16 + 1;

/// `VIRTIO_F_VERSION_1`.
const VERSION_1: u64 = 1 << 32;

/// The device.
pub struct Device {
    switch: Arc<Switch>,
    memory: Mutex<Option<GuestMemoryAtomic<GuestMemoryMmap>>>,
    exit: EventFd,
}

impl Device {
    /// A device in front of a switch.
    pub fn new(switch: Arc<Switch>) -> io::Result<Self> {
        Ok(Self {
            switch,
            memory: Mutex::default(),
            exit: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    fn memory(&self) -> Option<impl std::ops::Deref<Target = GuestMemoryMmap> + Clone> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.as_ref().map(GuestAddressSpace::memory)
    }

    /// Takes all packets that the guest has put into its queue, in however many pieces each.
    fn take_from_guest(&self, queue: &VringRwLock) {
        let Some(memory) = self.memory() else { return };
        let mut queue = queue.get_mut();
        let mut is_any = false;
        while let Some(chain) = queue.get_queue_mut().pop_descriptor_chain(memory.clone()) {
            let head = chain.head_index();
            if let Ok(mut pieces) = chain.reader(&*memory) {
                let mut header = [0; HEADER_BYTES];
                if pieces.read_exact(&mut header).is_ok() {
                    let header = Header::parse(&header);
                    let mut data = vec![0; pieces.available_bytes().min(header.length as usize)];
                    if pieces.read_exact(&mut data).is_ok() {
                        self.switch.receive(header, data);
                    }
                }
            }
            let _ = queue.add_used(head, 0);
            is_any = true;
        }
        if is_any {
            let _ = queue.signal_used_queue();
        }
    }

    /// Gives the guest as much as its buffers take. What is too long for one is cut.
    fn give_to_guest(&self, queue: &VringRwLock) {
        let Some(memory) = self.memory() else { return };
        let mut queue = queue.get_mut();
        let mut outgoing = self.switch.outgoing();
        let mut is_any = false;
        while !outgoing.is_empty() {
            let Some(chain) = queue.get_queue_mut().pop_descriptor_chain(memory.clone()) else {
                break;
            };
            let head = chain.head_index();
            let mut used = 0;
            if let Ok(mut pieces) = chain.writer(&*memory)
                && let Some((header, mut data)) = outgoing.pop_front()
            {
                let room = pieces.available_bytes().saturating_sub(HEADER_BYTES);
                let rest = data.split_off(data.len().min(room));
                let part = Header {
                    length: data.len() as u32,
                    ..header
                };
                let packet = [part.to_bytes(), data].concat();
                if pieces.write_all(&packet).is_ok() {
                    used = packet.len();
                }
                if !rest.is_empty() {
                    outgoing.push_front((header, rest));
                }
            }
            let _ = queue.add_used(head, used as u32);
            is_any = true;
        }
        if is_any {
            let _ = queue.signal_used_queue();
        }
    }
}

impl VhostUserBackend for Device {
    type Bitmap = ();
    type Vring = VringRwLock;

    fn num_queues(&self) -> usize {
        QUEUES
    }

    fn max_queue_size(&self) -> usize {
        1024
    }

    fn features(&self) -> u64 {
        VERSION_1 | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::CONFIG
    }

    fn set_event_idx(&self, _: bool) {}

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let (from, size) = (offset as usize, size as usize);
        let config = self.switch.guest().to_le_bytes();
        config.get(from..from + size).unwrap_or_default().to_vec()
    }

    fn update_memory(&self, memory: GuestMemoryAtomic<GuestMemoryMmap>) -> io::Result<()> {
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
        Ok(())
    }

    fn exit_event(&self, _: usize) -> Option<EventFd> {
        self.exit.try_clone().ok()
    }

    fn handle_event(
        &self,
        event: u16,
        _: EventSet,
        queues: &[VringRwLock],
        _: usize,
    ) -> io::Result<()> {
        if event == BELL {
            // Fails if another thread was quicker.
            let _ = self.switch.bell().read();
        }
        if usize::from(event) == FROM_GUEST {
            self.take_from_guest(&queues[FROM_GUEST]);
        }
        self.give_to_guest(&queues[TO_GUEST]);
        Ok(())
    }
}
