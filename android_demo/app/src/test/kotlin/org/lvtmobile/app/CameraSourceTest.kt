package org.lvtmobile.app

import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.hardware.camera2.impl.CameraDeviceImpl
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test
import org.junit.runner.RunWith
import org.lvtmobile.core.Size
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.Implementation
import org.robolectric.annotation.Implements
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.ShadowCameraDeviceImpl
import org.robolectric.shadows.StreamConfigurationMapBuilder
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

/** A camera that goes away while its streams start. */
@Implements(CameraDeviceImpl::class)
class BrokenCamera : ShadowCameraDeviceImpl() {
    @Implementation
    @Suppress("UNUSED_PARAMETER") // Android's signature
    override fun createCaptureRequest(template: Int): CaptureRequest.Builder = throw checkNotNull(failure)

    companion object {
        var failure: Exception? = null
    }
}

/** Tests the states of camera2 with Robolectric's camera, which delivers no pictures. */
@RunWith(RobolectricTestRunner::class)
class CameraSourceTest {
    private val events = LinkedBlockingQueue<Any>()
    private val manager = context.getSystemService(CameraManager::class.java)
    private val source = CameraSource(
        context,
        object : FrameSource.Listener {
            override fun onFrame(frame: Frame) = Unit

            override fun onPreviewSize(size: Size?) {
                events.put(size ?: "no preview")
            }

            override fun onError(problem: CameraProblem) {
                events.put(problem)
            }
        },
    )
    private val network = Size(256, 320)

    @After
    fun close() = source.close()

    private fun addCamera(vararg sizes: Size) {
        val traits = ShadowCameraCharacteristics.newCameraCharacteristics()
        val streams = StreamConfigurationMapBuilder.newBuilder()
        for (size in sizes) streams.addOutputSize(ImageFormat.YUV_420_888, android.util.Size(size.width, size.height))
        shadowOf(traits).set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK)
        shadowOf(traits).set(CameraCharacteristics.SENSOR_ORIENTATION, 90)
        shadowOf(traits).set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, streams.build())
        shadowOf(manager).addCamera("0", traits)
    }

    private fun nextEvent(): Any = checkNotNull(events.poll(20, TimeUnit.SECONDS)) { "no event" }

    private fun assertQuiet() = assertNull(events.poll(200, TimeUnit.MILLISECONDS))

    @Test
    fun `reports a device without a camera`() {
        source.start(network)
        assertEquals(CameraProblem(CameraProblem.Kind.MISSING), nextEvent())
    }

    @Test
    fun `starts and stops`() {
        addCamera(Size(480, 640))
        source.start(network)
        assertEquals("no preview", nextEvent()) // Robolectric's camera has none
        source.stop()
        assertQuiet()
    }

    @Test
    fun `reports a camera that another app took, once, and starts again`() {
        addCamera(Size(480, 640))
        source.start(network)
        nextEvent()
        shadowOf(manager).triggerDisconnect()
        assertEquals(CameraProblem(CameraProblem.Kind.BUSY), nextEvent())
        assertQuiet()
        source.start(network)
        nextEvent()
        assertQuiet()
    }

    @Test
    fun `reports a camera without a usable format`() {
        addCamera()
        source.start(network)
        assertEquals(CameraProblem(CameraProblem.Kind.FAILED, "no stream of the format YUV_420_888"), nextEvent())
    }

    /** Each of these once ended the app. */
    @Test
    @Config(shadows = [BrokenCamera::class])
    fun `reports a camera that goes away while it starts`() {
        addCamera(Size(480, 640))
        val failures = mapOf(
            IllegalStateException("closed") to CameraProblem(CameraProblem.Kind.FAILED, "closed"),
            IllegalArgumentException("abandoned surface") to CameraProblem(CameraProblem.Kind.FAILED, "abandoned surface"),
            CameraAccessException(CameraAccessException.CAMERA_IN_USE, "in use") to
                CameraProblem(CameraProblem.Kind.BUSY, "CAMERA_IN_USE (4): in use"),
            SecurityException() to CameraProblem(CameraProblem.Kind.FORBIDDEN),
        )
        for ((failure, problem) in failures) {
            BrokenCamera.failure = failure
            source.start(network)
            nextEvent() // the size of the preview
            assertEquals(problem, nextEvent())
            assertQuiet()
        }
    }
}
