package org.lvtmobile.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.hardware.display.DisplayManager
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.view.Display
import android.view.Surface
import org.lvtmobile.core.Size

/**
 * Delivers upright frames from the back camera, or from another camera if there is no back camera.
 *
 * Camera2 can call back after [stop]. Therefore all state is used on one thread, and a device that opens
 * after [stop] is closed at once.
 *
 * @param onFrame called on the camera thread with each frame. The frame is valid only until it returns.
 * @param onError called on the camera thread with one line for the user.
 */
class Camera(
    context: Context,
    private val onFrame: (Frame) -> Unit,
    private val onError: (String) -> Unit,
) : AutoCloseable {
    private val manager = context.getSystemService(CameraManager::class.java)
    private val display = context.getSystemService(DisplayManager::class.java).getDisplay(Display.DEFAULT_DISPLAY)
    private val thread = HandlerThread("camera").apply { start() }
    private val handler = Handler(thread.looper)

    // The following properties are used on the camera thread only.
    private var requestedSize: Size? = null
    private var device: CameraDevice? = null
    private var reader: ImageReader? = null
    private var opening = false
    private var closing = false
    private val yuv = YuvBuffer()
    private val frame = Frame()

    /** Starts the camera, or changes the size of its frames. Requires the camera permission. */
    fun start(network: Size) {
        handler.post {
            if (requestedSize != network) release()
            requestedSize = network
            if (device == null && !opening) open(network)
        }
    }

    /** Stops the camera and releases it for other apps. */
    fun stop() {
        handler.post {
            requestedSize = null
            release()
        }
    }

    /** Stops the camera and ends the thread. The camera cannot be started again. */
    override fun close() {
        handler.post {
            requestedSize = null
            closing = true
            release()
            quitIfIdle()
        }
    }

    /** Ends the thread, unless a device is still opening and must be closed first. */
    private fun quitIfIdle() {
        if (closing && !opening) thread.quitSafely()
    }

    private fun release() {
        device?.close()
        device = null
        reader?.close()
        reader = null
    }

    @SuppressLint("MissingPermission") // callers of start() have the permission
    private fun open(network: Size) {
        try {
            val id = chooseCameraId() ?: return onError("this device has no camera; choose a photo instead")
            val characteristics = manager.getCameraCharacteristics(id)
            opening = true
            manager.openCamera(id, DeviceCallback(characteristics, network), handler)
        } catch (error: CameraAccessException) {
            opening = false
            onError("the camera cannot be opened: ${error.message}")
        } catch (_: SecurityException) {
            opening = false
            onError("this app has no camera permission; allow the camera in the settings, or choose a photo")
        }
    }

    private fun chooseCameraId(): String? {
        val ids = manager.cameraIdList.toList()
        return ids.find { lensFacing(manager.getCameraCharacteristics(it)) == CameraCharacteristics.LENS_FACING_BACK }
            ?: ids.firstOrNull()
    }

    private fun lensFacing(characteristics: CameraCharacteristics): Int? =
        characteristics.get(CameraCharacteristics.LENS_FACING)

    private inner class DeviceCallback(private val characteristics: CameraCharacteristics, private val network: Size) :
        CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            opening = false
            val requested = requestedSize
            if (requested == null) {
                camera.close()
                return quitIfIdle()
            }
            if (requested != network) {
                camera.close()
                return open(requested)
            }
            device = camera
            try {
                startStream(camera, characteristics, network)
            } catch (error: CameraAccessException) {
                fail("the camera cannot be started: ${error.message}")
            }
        }

        override fun onDisconnected(camera: CameraDevice) = onEnd(camera, "another app is using the camera")

        override fun onError(camera: CameraDevice, error: Int) = onEnd(camera, "the camera failed with error $error")

        private fun onEnd(camera: CameraDevice, message: String) {
            opening = false
            camera.close()
            if (camera == device) device = null
            if (requestedSize != null) fail(message)
            quitIfIdle()
        }
    }

    private fun fail(message: String) {
        requestedSize = null
        release()
        onError(message)
    }

    @Suppress("DEPRECATION") // its replacement requires API 28
    private fun startStream(camera: CameraDevice, characteristics: CameraCharacteristics, network: Size) {
        val sizes = characteristics.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP)
            ?.getOutputSizes(ImageFormat.YUV_420_888).orEmpty().map { Size(it.height, it.width) }
        if (sizes.isEmpty()) return fail("this camera does not support the format YUV_420_888; choose a photo instead")
        val size = chooseStreamSize(sizes, network)
        val newReader = ImageReader.newInstance(size.width, size.height, ImageFormat.YUV_420_888, MAX_IMAGES)
        newReader.setOnImageAvailableListener({ readImage(it, characteristics) }, handler)
        reader = newReader
        val request = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW).apply {
            addTarget(newReader.surface)
            set(CaptureRequest.CONTROL_AF_MODE, autofocusMode(characteristics))
        }.build()
        camera.createCaptureSession(
            listOf(newReader.surface),
            object : CameraCaptureSession.StateCallback() {
                override fun onConfigured(session: CameraCaptureSession) {
                    if (device != camera) return
                    try {
                        session.setRepeatingRequest(request, null, handler)
                    } catch (error: CameraAccessException) {
                        fail("the camera cannot be started: ${error.message}")
                    }
                }

                override fun onConfigureFailed(session: CameraCaptureSession) =
                    fail("the camera cannot deliver frames of ${size.width} x ${size.height}")
            },
            handler,
        )
    }

    /** Continuous autofocus if the camera supports it. Fixed-focus cameras do not. */
    private fun autofocusMode(characteristics: CameraCharacteristics): Int {
        val modes = characteristics.get(CameraCharacteristics.CONTROL_AF_AVAILABLE_MODES) ?: IntArray(0)
        return CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE.takeIf { it in modes }
            ?: CaptureRequest.CONTROL_AF_MODE_OFF
    }

    /** Converts the newest image to a frame. Drops older images in the queue. */
    private fun readImage(source: ImageReader, characteristics: CameraCharacteristics) {
        if (source != reader) return // a callback of a previous reader
        val image = source.acquireLatestImage() ?: return
        image.use {
            yuv.begin(Size(it.height, it.width))
            it.planes.forEachIndexed { index, plane ->
                yuv.copyPlane(index, plane.buffer, plane.rowStride, plane.pixelStride)
            }
        }
        val sensor = characteristics.get(CameraCharacteristics.SENSOR_ORIENTATION) ?: 0
        val front = lensFacing(characteristics) == CameraCharacteristics.LENS_FACING_FRONT
        yuv.toFrame(uprightRotation(sensor, toDegrees(display.rotation), front), frame)
        onFrame(frame)
    }

    private fun toDegrees(rotation: Int): Int = when (rotation) {
        Surface.ROTATION_90 -> 90
        Surface.ROTATION_180 -> 180
        Surface.ROTATION_270 -> 270
        else -> 0
    }

    private companion object {
        const val MAX_IMAGES = 3 // acquireLatestImage needs two, and the camera fills a third
    }
}
