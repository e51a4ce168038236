// Which architecture the code that runs on a card was compiled for: kernels may use no more than that one's instructions.
extern "C" __device__ int compiled_for =
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    90;  // wgmma is in sm_90a only
#elif defined(__CUDA_ARCH__)
    __CUDA_ARCH__ / 10 == 90 ? 89 : __CUDA_ARCH__ / 10;
#else
    0;  // the host's pass
#endif
